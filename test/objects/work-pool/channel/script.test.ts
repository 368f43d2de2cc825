/** The worker channel answers as the original did when its answers were recorded (`record.ts`). */
import { SELF } from "cloudflare:test";
import { expect, test } from "vitest";
import recorded from "./recorded.json";
import { CASES, type ChannelServer, type ChannelSocket, playCase } from "./script.ts";

const server: ChannelServer = {
  async rest(method, path, body) {
    const response = await SELF.fetch(`http://sluice/api${path}`, {
      method,
      headers: { "content-type": "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    await response.text();
    return response.status;
  },
  async open(path, protocols): Promise<ChannelSocket | number> {
    const headers = { upgrade: "websocket", ...(protocols[0] && { "sec-websocket-protocol": protocols.join(", ") }) };
    const response = await SELF.fetch(`http://sluice/api${path}`, { headers });
    const socket = response.webSocket;
    if (!socket) {
      await response.text();
      return response.status;
    }
    const frames: unknown[] = [];
    const kept = {
      frames,
      closed: null as ChannelSocket["closed"],
      send: (text: string | Uint8Array<ArrayBuffer>) => socket.send(text),
      close: () => socket.close(1000),
    };
    socket.addEventListener("message", ({ data }) => void frames.push(JSON.parse(String(data))));
    socket.addEventListener("close", ({ code, reason }) => {
      kept.closed = { code, reason };
    });
    socket.accept();
    return kept;
  },
};

/** Where this server answers otherwise, and why. */
const OTHERWISE: Record<string, unknown[]> = {
  // The original fails, and the connection is dropped without a word.
  "text that is no JSON before auth": [{ closed: { code: 1008, reason: "authentication_failed" } }],
};

const answers: Record<string, unknown> = recorded;

test.for(CASES)("$name", async (one) => {
  expect(await playCase(server, one)).toEqual(OTHERWISE[one.name] ?? answers[one.name]);
});

/** The worker channel gives the same answers as the recorded original (`record.ts`). */
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

/** The intended differences, with their reasons. */
const OTHERWISE: Record<string, unknown[]> = {
  // The original fails and drops the connection without a close frame.
  "text that is no JSON before auth": [{ closed: { code: 1008, reason: "authentication_failed" } }],
};

const answers: Record<string, unknown> = recorded;

test.for(CASES)("$name", async (one) => {
  expect(await playCase(server, one)).toEqual(OTHERWISE[one.name] ?? answers[one.name]);
});

/**
 * Runs the script of the worker channel against the original and writes its answers, or prints the differences of
 * another server: `node test/objects/work-pool/channel/record.ts --reference URL | --target URL [--only NAME]` (URLs
 * with `/api`).
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual, parseArgs } from "node:util";
import { CASES, type ChannelServer, type ChannelSocket, playCase } from "./script.ts";

const { values } = parseArgs({
  options: { reference: { type: "string" }, target: { type: "string" }, only: { type: "string" } },
});
const file = join(import.meta.dirname, "recorded.json");
const url = values.reference ?? values.target;
if (url === undefined) throw new Error("--reference URL or --target URL is needed");

const server: ChannelServer = {
  async rest(method, path, body) {
    const response = await fetch(url + path, {
      method,
      headers: { "content-type": "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    await response.text();
    return response.status;
  },
  open: (path, protocols) =>
    new Promise<ChannelSocket | number>((resolve) => {
      const socket = new WebSocket(url.replace("http", "ws") + path, protocols);
      const frames: unknown[] = [];
      const kept = {
        frames,
        closed: null as ChannelSocket["closed"],
        send: (text: string | Uint8Array<ArrayBuffer>) => socket.send(text),
        close: () => socket.close(),
      };
      socket.addEventListener("message", ({ data }) => void frames.push(JSON.parse(String(data))));
      socket.addEventListener("close", ({ code, reason }) => {
        kept.closed = { code, reason };
      });
      socket.addEventListener("open", () => resolve(kept));
      // Node's WebSocket does not show the status of a refused upgrade. The original answers 403.
      socket.addEventListener("error", () => resolve(403));
    }),
};

const recorded: Record<string, unknown> =
  values.reference === undefined ? JSON.parse(await readFile(file, "utf8")) : {};
let differing = 0;
for (const one of CASES) {
  if (values.only !== undefined && values.only !== one.name) continue;
  const seen = await playCase(server, one);
  if (values.reference !== undefined) recorded[one.name] = seen;
  else if (!isDeepStrictEqual(seen, recorded[one.name])) {
    differing++;
    console.log(JSON.stringify({ case: one.name, original: recorded[one.name], target: seen }, null, 2));
  }
}
if (values.reference !== undefined) await writeFile(file, `${JSON.stringify(recorded, null, 2)}\n`);
else console.log(`${CASES.length} cases, ${differing} differ`);
process.exitCode = differing === 0 ? 0 : 1;

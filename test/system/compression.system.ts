/** Compressed answers on a real socket: what is sent is gzip only where the client takes it, and has the same content. */
import assert from "node:assert/strict";
import { get, type IncomingHttpHeaders } from "node:http";
import { describe, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { z } from "zod";
import { World } from "./support/world.ts";

interface Raw {
  status: number;
  headers: IncomingHttpHeaders;
  /** The bytes on the wire. `fetch` would decompress them. */
  body: Buffer;
}

function read(url: string, headers: Record<string, string> = {}): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const request = get(url, { headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
      );
    });
    request.on("error", reject);
  });
}

describe("a local server", () => {
  test("compresses what is large, for clients that take gzip", { timeout: 200_000 }, async (t) => {
    const world = await World.of(t);
    await world.startSluice();
    const create = async (path: string, body: unknown) => {
      const headers = { "content-type": "application/json" };
      const response = await fetch(world.apiUrl + path, { method: "POST", headers, body: JSON.stringify(body) });
      assert.equal(response.status, 201);
      return z.object({ id: z.string() }).parse(await response.json()).id;
    };
    const artifact = await create("/artifacts/", { data: "many words ".repeat(45_000) });

    for (const path of [`/artifacts/${artifact}`, "/openapi.json"]) {
      const plain = await read(world.apiUrl + path);
      assert.deepEqual([plain.status, plain.headers["content-encoding"]], [200, undefined]);
      assert.match(plain.headers.vary ?? "", /accept-encoding/i);
      const packed = await read(world.apiUrl + path, { "accept-encoding": "gzip, deflate" });
      assert.equal(packed.headers["content-encoding"], "gzip");
      assert.ok(packed.body.length < plain.body.length / 4, `${packed.body.length} of ${plain.body.length} bytes`);
      assert.ok(gunzipSync(packed.body).equals(plain.body), path);
      const refused = await read(world.apiUrl + path, { "accept-encoding": "gzip;q=0" });
      assert.ok(refused.body.equals(plain.body), path);
    }

    const small = await read(`${world.apiUrl}/health`, { "accept-encoding": "gzip" });
    assert.deepEqual([small.headers["content-encoding"], String(small.body)], [undefined, "true"]);
    const tag = String((await read(`${world.apiUrl}/openapi.json`)).headers.etag);
    const again = await read(`${world.apiUrl}/openapi.json`, { "accept-encoding": "gzip", "if-none-match": tag });
    assert.deepEqual([again.status, again.body.length], [304, 0]);
  });
});

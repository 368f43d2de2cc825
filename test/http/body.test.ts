/** How much of a request body is read and kept. */
import { SELF } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { MAX_BODY_BYTES } from "#http/body";
import { askApp } from "../support/app";

const CHUNK = 1024 * 1024;
const TOO_LARGE = { detail: `The request's body is larger than ${MAX_BODY_BYTES} bytes.` };

/** A body of so many bytes, and the number of its bytes that were read. */
function aStream(bytes: number) {
  const taken = { bytes: 0, cancelled: false };
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (taken.bytes >= bytes) return controller.close();
        taken.bytes += CHUNK;
        controller.enqueue(new Uint8Array(CHUNK).fill(32));
      },
      cancel() {
        taken.cancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, taken };
}

async function post(path: string, body: BodyInit, headers: Record<string, string> = {}): Promise<Response> {
  const request = new Request(`http://sluice/api${path}`, {
    method: "POST",
    body,
    headers: { "content-type": "application/json", ...headers },
  });
  return askApp(request);
}

describe("a body without a content-length", () => {
  test.for(["/logs/", "/variables/filter", "/nowhere", "/health"])(
    "and without an end is refused at %s, and no more bytes than the bound are read",
    async (path) => {
      const { stream, taken } = aStream(100 * MAX_BODY_BYTES);
      const response = await post(path, stream);
      expect([404, 405, 413]).toContain(response.status);
      expect(taken.bytes).toBeLessThan(6 * MAX_BODY_BYTES);
      expect(taken.cancelled).toBe(true);
    },
  );

  test("larger than the bound is read to its end, so that its sender can read the refusal", async () => {
    const { stream, taken } = aStream(2 * MAX_BODY_BYTES);
    const response = await post("/logs/", stream);
    expect([response.status, await response.json()]).toEqual([413, TOO_LARGE]);
    expect(taken).toEqual({ bytes: 2 * MAX_BODY_BYTES, cancelled: false });
  });

  test("as large as the bound is read", async () => {
    const spaces = new Uint8Array(MAX_BODY_BYTES - 2).fill(32);
    const response = await post("/logs/", new Blob([spaces, "[]"]).stream());
    expect(response.status).toBe(201);
  });
});

describe("a content-length", () => {
  test.for(["10", "0", "-1", "1e3", "nonsense", "99999999999999999999"])(
    "of %s does not change how much of a longer body is read",
    async (length) => {
      const { stream, taken } = aStream(100 * MAX_BODY_BYTES);
      const response = await post("/logs/", stream, { "content-length": length });
      expect([response.status, await response.json()]).toEqual([413, TOO_LARGE]);
      expect(taken.bytes).toBeLessThan(6 * MAX_BODY_BYTES);
    },
  );

  test.for(["-1", "1e3", "nonsense", ""])("of %j does not cause the refusal of a valid body", async (length) => {
    const response = await post("/logs/", new Blob(["[]"]).stream(), { "content-length": length });
    expect(response.status).toBe(201);
  });
});

describe("bytes that are not UTF-8", () => {
  const gzip = new Response("[]").body?.pipeThrough(new CompressionStream("gzip"));

  test("are refused", async () => {
    const bytes = new Uint8Array([...new TextEncoder().encode('{"name": "'), 0xff, 0xfe, 0x22, 0x7d]);
    const response = await post("/flows/", bytes);
    expect([response.status, await response.json()]).toEqual([400, { detail: "There was an error parsing the body" }]);
  });

  test("of a compressed body are refused, because no body is decompressed", async () => {
    const body = await new Response(gzip).arrayBuffer();
    const response = await SELF.fetch("http://sluice/api/logs/", {
      method: "POST",
      body,
      headers: { "content-type": "application/json", "content-encoding": "gzip" },
    });
    expect([response.status, await response.json()]).toEqual([400, { detail: "There was an error parsing the body" }]);
  });

  test("are ignored if the route has no body", async () => {
    const response = await SELF.fetch(`http://sluice/api/flow_runs/${crypto.randomUUID()}`, {
      method: "DELETE",
      body: new Uint8Array([0xff]),
    });
    expect(response.status).toBe(404);
  });
});

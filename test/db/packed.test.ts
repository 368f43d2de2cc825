import { env } from "cloudflare:workers";
import { Buffer } from "node:buffer";
import { sql } from "drizzle-orm";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Database } from "#db/database";
import { bytesInRow, pack, packedColumn, stored, storedOf, toBytes, unpack, withUnpacked } from "#db/packed";
import { noCost } from "#lib/cost";

/** A text that deflate cannot shrink. */
const NOISE = JSON.stringify(
  Array.from({ length: 23 }, () => Buffer.from(crypto.getRandomValues(new Uint8Array(60_000))).toString("base64")),
);

const event = (index: number) =>
  JSON.stringify({
    occurred: "2026-11-28T05:38:32.074001Z",
    event: "prefect.task-run.Completed",
    resource: { "prefect.resource.id": `prefect.task-run.${index}`, "prefect.state-type": "COMPLETED" },
    related: [{ "prefect.resource.id": "prefect.flow-run.7", "prefect.resource.role": "flow-run" }],
    payload: { exact: 1 },
    id: crypto.randomUUID(),
  });

test("any JSON comes back byte for byte", () => {
  const json = fc.array(fc.jsonValue()).map((value) => JSON.stringify(value));
  fc.assert(fc.property(json, (text) => unpack(pack(text)) === text));
  const text = `[12345678901234567890,1.10,1e400,"ä😀\\u0000"]`;
  expect(unpack(pack(text.repeat(50)))).toBe(text.repeat(50));
});

test("one event shrinks to a third, many shrink more, and noise is kept as text", () => {
  const one = `[${event(1)}]`;
  expect(bytesInRow(pack(one))).toBeLessThan(one.length / 3);
  const many = `[${Array.from({ length: 500 }, (_, index) => event(index)).join(",")}]`;
  expect(bytesInRow(pack(many))).toBeLessThan(many.length / 6);
  expect(pack(NOISE)).toBe(NOISE);
});

test("D1 stores and returns both forms", async () => {
  const db = new Database(env.DB, noCost());
  const texts = [`[]`, `[${event(1)}]`, JSON.stringify(["ß".repeat(700_000)]), NOISE];
  for (const text of texts) {
    const value = pack(text);
    const select = (expression: ReturnType<typeof sql>) =>
      db.rows<{ value: string; bytes: number }>(
        sql`with s(events) as (select ${expression}) select ${packedColumn("s.events")} as value, octet_length(events) as bytes from s`,
      );
    for (const expression of [stored(value), sql`${sql.raw(storedOf("value"))} from (select ${value} as value)`]) {
      const [row] = await select(expression);
      expect(row?.bytes).toBe(bytesInRow(value));
      expect(unpack(row?.value ?? "")).toBe(text);
    }
  }
});

test.each([
  ["an unknown dictionary", "ff00"],
  ["cut bytes", pack(`[${event(1)}]`).slice(0, -20)],
  ["no bytes", ""],
])("a damaged value throws: %s", (_, value) => {
  expect(() => unpack(value)).toThrow();
});

test("a value that would grow beyond the bound throws", () => {
  expect(() => unpack(pack(JSON.stringify(["a".repeat(100_000)])), 50_000)).toThrow();
});

test("the memory of unpacked bytes is freed after their use, and the caller's bytes stay", () => {
  const text = `[${event(1)}]`;
  for (const value of [toBytes(pack(text)), Buffer.from(text)]) {
    const before = value.toString("hex");
    expect(withUnpacked(value, (json) => json.toString())).toBe(text);
    expect(value.toString("hex")).toBe(before);
  }
  for (const value of [pack(text), toBytes(pack(text)), pack(NOISE)])
    expect(withUnpacked(value, (json) => json)).toHaveLength(0);
});

test("the memory of unpacked bytes is freed if their use throws", () => {
  let kept: Uint8Array = Buffer.of(1);
  const failing = (json: Buffer) => {
    kept = json;
    throw new Error("no use");
  };
  expect(() => withUnpacked(pack(`[${event(1)}]`), failing)).toThrow("no use");
  expect(kept).toHaveLength(0);
});

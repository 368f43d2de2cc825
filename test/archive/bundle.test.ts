import { Buffer } from "node:buffer";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Bundle, BundleBuilder, isIntact, MAX_CONTENT_BYTES, MAX_INDEX_BYTES, openIndex } from "#archive/bundle";
import { parseJson, TooDeep } from "#lib/json";
import { anyParts, bundleOf, part, shown } from "./world";

/** Opens the index of a bundle, or other bytes in its place. */
function open(bundle: Bundle, bytes = bundle.bytes.subarray(bundle.index_at)) {
  const { index_at, index_digest } = bundle;
  return openIndex(bytes, { key: "k", bytes: bundle.bytes.length, index_at, index_digest }).entries;
}

test("any parts come back equal, with their headers, in their order", () => {
  fc.assert(
    fc.property(anyParts, (parts) => {
      const bundle = bundleOf(parts);
      const found = open(bundle).map((entry) => {
        const bytes = bundle.bytes.subarray(entry.offset, entry.offset + entry.length);
        expect(isIntact(entry, bytes)).toBe(true);
        return { header: entry.header, bytes };
      });
      expect(shown(found)).toEqual(shown(parts));
    }),
  );
});

test("a header keeps exact numbers", () => {
  const text = `{"big":12345678901234567890,"decimal":1.10,"far":1e400}`;
  const [entry] = open(bundleOf([part(parseJson(text), "x")]));
  expect(JSON.stringify(entry?.header)).toBe(text);
});

test("the index is packed: many like headers take a fraction of their JSON", () => {
  const parts = Array.from({ length: 500 }, (_, index) =>
    part({ id: `0199f7d4-3c3c-7c3c-8c3c-${String(index).padStart(12, "0")}`, hour: 1_795_840_000_000_000 }, "x"),
  );
  const bundle = bundleOf(parts);
  const packed = bundle.bytes.length - bundle.index_at;
  expect(packed).toBeLessThan(JSON.stringify(parts.map(({ header }) => header)).length / 2);
});

test("bundles of the same parts differ by their ids", () => {
  const parts = [part({ n: 1 }, "one")];
  const [one, same, other] = [bundleOf(parts, "a"), bundleOf(parts, "a"), bundleOf(parts, "b")];
  expect(Buffer.from(same.sha256)).toEqual(Buffer.from(one.sha256));
  expect(Buffer.from(other.sha256)).not.toEqual(Buffer.from(one.sha256));
});

test("every changed, lost or added bit of an index is noticed", () => {
  const bundle = bundleOf([part({ n: 1 }, "one"), part({ n: 2 }, "two")]);
  const index = bundle.bytes.subarray(bundle.index_at);
  fc.assert(
    fc.property(fc.nat(index.length * 8 - 1), (bit) => {
      const changed = Uint8Array.from(index, (byte, at) => (at === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
      expect(() => open(bundle, changed)).toThrow("digest");
    }),
  );
  expect(() => open(bundle, index.subarray(1))).toThrow("digest");
  expect(() => open(bundle, Buffer.concat([index, Buffer.of(0)]))).toThrow("digest");
});

test("the index of another place is refused", () => {
  const bundle = bundleOf([part(null, "one")]);
  expect(() => open({ ...bundle, index_at: 2 }, bundle.bytes.subarray(bundle.index_at))).toThrow("end at the index");
});

test("every changed bit of a part is noticed", () => {
  const bundle = bundleOf([part(null, "a part of sixteen")]);
  const [entry] = open(bundle);
  if (!entry) throw new Error("no entry");
  for (let bit = 0; bit < entry.length * 8; bit++) {
    const bytes = Uint8Array.from(bundle.bytes.subarray(0, entry.length));
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect(isIntact(entry, bytes)).toBe(false);
  }
  expect(isIntact(entry, bundle.bytes.subarray(0, entry.length - 1))).toBe(false);
});

test("a bundle says when it is full: by its bytes, and by its index", () => {
  const byBytes = new BundleBuilder();
  const half = new Uint8Array(MAX_CONTENT_BYTES / 2);
  expect([byBytes.add(1, half), byBytes.add(2, half), byBytes.add(3, Uint8Array.of(1))]).toEqual([true, true, false]);
  expect(byBytes.count).toBe(2);
  expect(byBytes.build("id").index_at).toBe(MAX_CONTENT_BYTES);
  const byIndex = new BundleBuilder();
  const header = "ä".repeat(100_000);
  while (byIndex.add(header, new Uint8Array())) expect(byIndex.count).toBeLessThan(10);
  expect(byIndex.count).toBe(4);
  expect(open(byIndex.build("id"))).toHaveLength(4);
});

test("an index that is as large as it may be, and does not shrink, can be read again", () => {
  const builder = new BundleBuilder();
  const header = () => Buffer.from(crypto.getRandomValues(new Uint8Array(30_000))).toString("base64");
  const headers = [];
  for (let one = header(); builder.add(one, Uint8Array.of(1)); one = header()) headers.push(one);
  const bundle = builder.build(crypto.randomUUID());
  expect(bundle.bytes.length).toBeGreaterThan(MAX_INDEX_BYTES * 0.7);
  expect(open(bundle).map((entry) => entry.header)).toEqual(headers);
});

test("a part that no bundle has room for is refused, and so is a header that could not be read again", () => {
  const builder = new BundleBuilder();
  expect(() => builder.add(1, new Uint8Array(MAX_CONTENT_BYTES + 1))).toThrow(RangeError);
  expect(() => builder.add("a".repeat(MAX_INDEX_BYTES / 2), new Uint8Array())).toThrow(RangeError);
  let deep: unknown = 1;
  for (let level = 0; level < 999; level++) deep = [deep];
  expect(() => builder.add(deep, new Uint8Array())).toThrow(TooDeep);
  expect(builder.count).toBe(0);
  expect(builder.add((deep as unknown[])[0], new Uint8Array())).toBe(true);
  expect(open(builder.build("id"))).toHaveLength(1);
});

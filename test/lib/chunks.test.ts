import fc from "fast-check";
import { expect, test } from "vitest";
import { chunks, chunksBySize } from "#lib/chunks";

test("chunks by number have the items of a list in order, and only the last chunk may be smaller", () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), fc.integer({ min: 1, max: 9 }), (items, size) => {
      const parts = chunks(items, size);
      expect(parts.flat()).toEqual(items);
      expect(parts.map((part) => part.length)).toEqual(parts.map((_, at) => Math.min(size, items.length - at * size)));
    }),
  );
});

test("chunks by size have the items of a list in order, and each chunk is as long as the bound allows", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20)), (items) => {
      const parts = chunksBySize(items, 30, (item) => item);
      const sum = (part: readonly number[]) => part.reduce((a, b) => a + b, 0);
      expect(parts.flat()).toEqual(items);
      for (const [index, part] of parts.entries()) {
        expect(part.length).toBeGreaterThan(0);
        expect(sum(part)).toBeLessThanOrEqual(30);
        const next = parts[index + 1]?.[0];
        if (next !== undefined) expect(sum(part) + next).toBeGreaterThan(30);
      }
    }),
  );
});

test("an item that is larger than the bound is its own chunk", () => {
  expect(chunksBySize([1, 50, 2], 30, (item) => item)).toEqual([[1], [50], [2]]);
});

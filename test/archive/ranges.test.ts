import fc from "fast-check";
import { expect, test } from "vitest";
import { MAX_GAP_BYTES, MAX_RANGE_BYTES, rangesOf } from "#archive/ranges";

/** The entries of parts with these lengths, one after the other. */
function entriesOf(lengths: readonly number[]) {
  let offset = 0;
  return lengths.map((length, index) => {
    offset += length;
    return { header: index, offset: offset - length, length, digest: "" };
  });
}

const placesOf = (entries: Parameters<typeof rangesOf>[0]) =>
  rangesOf(entries).map(({ offset, length, entries: inside }) => [offset, length, inside.map((one) => one.header)]);

test("neighbours are read at once, forwards and backwards", () => {
  const entries = entriesOf([10, 20, 30]);
  expect(placesOf(entries)).toEqual([[0, 60, [0, 1, 2]]]);
  expect(placesOf(entries.toReversed())).toEqual([[0, 60, [2, 1, 0]]]);
});

test("a short gap is read too, a long gap is not", () => {
  const gap = (length: number) => placesOf(entriesOf([1, length, 2]).filter(({ header }) => header !== 1));
  expect(gap(MAX_GAP_BYTES)).toEqual([[0, MAX_GAP_BYTES + 3, [0, 2]]]);
  expect(gap(MAX_GAP_BYTES + 1)).toEqual([
    [0, 1, [0]],
    [MAX_GAP_BYTES + 2, 2, [2]],
  ]);
});

test("a range has a bounded number of bytes, unless a single part has more", () => {
  const half = MAX_RANGE_BYTES / 2;
  expect(placesOf(entriesOf([half, half, 1, 2 * MAX_RANGE_BYTES, 1]))).toEqual([
    [0, MAX_RANGE_BYTES, [0, 1]],
    [MAX_RANGE_BYTES, 1, [2]],
    [MAX_RANGE_BYTES + 1, 2 * MAX_RANGE_BYTES, [3]],
    [3 * MAX_RANGE_BYTES + 1, 1, [4]],
  ]);
});

test("any list of parts: each is once in a range that has its bytes, in the order of the list", () => {
  const lists = fc
    .array(fc.oneof(fc.nat(50), fc.nat(MAX_RANGE_BYTES * 2)), { maxLength: 15 })
    .chain((lengths) => fc.shuffledSubarray(entriesOf(lengths)));
  fc.assert(
    fc.property(lists, (entries) => {
      const ranges = rangesOf(entries);
      expect(ranges.flatMap((range) => range.entries)).toEqual(entries);
      for (const { offset, length, entries: inside } of ranges) {
        expect(length <= MAX_RANGE_BYTES || inside.some((one) => one.length === length)).toBe(true);
        for (const one of inside) expect(one.offset >= offset && one.offset + one.length <= offset + length).toBe(true);
      }
    }),
  );
});

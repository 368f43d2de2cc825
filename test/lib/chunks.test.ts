import { expect, test } from "vitest";
import { chunks, chunksBySize } from "#lib/chunks";

test.for<[number[], number, number[][]]>([
  [[], 2, []],
  [[1], 2, [[1]]],
  [[1, 2], 2, [[1, 2]]],
  [[1, 2, 3, 4, 5], 2, [[1, 2], [3, 4], [5]]],
])("%j in chunks of %i items is %j", ([items, size, expected]) => {
  expect(chunks(items, size)).toEqual(expected);
});

test.for<[number[], number, number[][]]>([
  [[], 5, []],
  [[9], 5, [[9]]],
  [[2, 3], 5, [[2, 3]]],
  [[2, 3, 1, 9, 1, 4, 1], 5, [[2, 3], [1], [9], [1, 4], [1]]],
])("%j in chunks of at most %i together is %j", ([items, max, expected]) => {
  expect(chunksBySize(items, max, (item) => item)).toEqual(expected);
});

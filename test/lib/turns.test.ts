import { expect, test } from "vitest";
import { Turns } from "#lib/turns";

test("only so many tasks run at once, in order, and a failed task frees its place", async () => {
  const turns = new Turns(2);
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const work = (n: number) =>
    turns.take(async () => {
      begun.push(n);
      await new Promise<void>((end) => (ends[n] = end));
      if (n === 1) throw new Error("failed");
      return n;
    });
  const all = Promise.allSettled([0, 1, 2, 3, 4].map(work));
  const settled = async () => {
    for (let round = 0; round < 10; round++) await Promise.resolve();
    return [...begun];
  };
  expect(await settled()).toEqual([0, 1]);
  ends[1]?.();
  expect(await settled()).toEqual([0, 1, 2]);
  ends[2]?.();
  ends[0]?.();
  expect(await settled()).toEqual([0, 1, 2, 3, 4]);
  ends[3]?.();
  ends[4]?.();
  expect((await all).map(({ status }) => status)).toEqual([
    "fulfilled",
    "rejected",
    "fulfilled",
    "fulfilled",
    "fulfilled",
  ]);
  expect(await turns.take(async () => 5)).toBe(5);
});

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DAY, type Micros } from "#lib/clock";
import { daysLeft, growthPerDay, withToday } from "#resources/admin/growth";

const NOW: Micros = 20_000 * DAY + DAY / 2;
/** Sizes by how many days ago they were remembered. */
const sizes = (...pairs: readonly (readonly [daysAgo: number, bytes: number])[]) =>
  pairs.map(([daysAgo, bytes]) => ({ at: NOW - daysAgo * DAY, bytes }));

describe("the growth in a day", () => {
  test.for([
    ["nothing is known", sizes(), 500, null],
    ["less than a day is known", sizes([0.99, 100]), 500, null],
    ["a day is known", sizes([1, 100]), 500, 400],
    ["a week is known", sizes([7, 100], [6, 900], [1, 500]), 800, 100],
    ["days are missing", sizes([6, 200], [1, 500]), 800, 100],
    ["a size is older than a week", sizes([9, 0], [2, 500]), 800, 150],
    ["all sizes are older than a week", sizes([30, 0], [20, 500]), 800, null],
    ["it shrinks", sizes([2, 500]), 300, -100],
    ["it stays the same", sizes([2, 500]), 500, 0],
    ["it hardly shrinks", sizes([4, 500]), 499, 0],
    ["the first size has a later time", sizes([-400, 100], [2, 300]), 500, 100],
  ] as const)("if %s", ([, known, bytes, growth]) => {
    expect(growthPerDay([...known], NOW, bytes)).toBe(growth);
  });
});

describe("the days that are left", () => {
  test.for([
    [1_000, null, null],
    [1_000, 0, null],
    [1_000, -5, null],
    [0, 0, null],
    [1_000, 100, 10],
    [1_001, 100, 11],
    [1, 100, 1],
    [0, 100, 0],
    [-1, 100, 0],
    [8_000_000_000, 1, 8_000_000_000],
  ] as const)("with room for %d bytes and a growth of %j a day are %j", ([room, growth, days]) => {
    expect(daysLeft(room, growth)).toBe(days);
  });

  test("are the first whole number of days after which the growth has filled the room", () => {
    fc.assert(
      fc.property(fc.integer({ min: -1e10, max: 1e10 }), fc.integer({ min: -1e10, max: 1e10 }), (room, growth) => {
        const days = daysLeft(room, growth);
        if (growth <= 0) return days === null;
        return days !== null && days * growth >= room && (days === 0 || (days - 1) * growth < room);
      }),
    );
  });
});

test("of any days, at most eight sizes of different days are remembered, and none is older than a week", () => {
  const day = fc.record({ hours: fc.integer({ min: 0, max: 300 }), bytes: fc.nat(1_000_000) });
  fc.assert(
    fc.property(fc.array(day, { maxLength: 40 }), (days) => {
      let now = NOW;
      let kept: ReturnType<typeof sizes> = [];
      for (const { hours, bytes } of days) {
        now += hours * (DAY / 24);
        const before = kept.at(-1);
        const next = withToday(kept, now, bytes);
        const isKnown = before !== undefined && Math.floor(before.at / DAY) === Math.floor(now / DAY);
        expect(next === null).toBe(isKnown);
        kept = next ?? kept;
        expect(kept.length).toBeLessThanOrEqual(8);
        expect(new Set(kept.map(({ at }) => Math.floor(at / DAY))).size).toBe(kept.length);
        if (next) expect(next.at(-1)).toEqual({ at: now, bytes });
        if (next) expect(now - (next[0]?.at ?? now)).toBeLessThan(8 * DAY);
      }
    }),
  );
});

test("a size from the future is forgotten, so that a clock that was wrong once stops nothing", () => {
  expect(withToday(sizes([-400, 7], [1, 5]), NOW, 6)).toEqual(sizes([1, 5], [0, 6]));
});

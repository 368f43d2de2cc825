import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Limit } from "#objects/concurrency-limits/ledger";
import { Line } from "#objects/concurrency-limits/line";

const SECOND = 1_000_000;
const START = 1_700_000_000 * SECOND;
const limit: Limit = { id: "limit", name: "limit", limit: 1, active: true, slot_decay_per_second: 0 };
const join = (line: Line, now: number, slots = 1) => line.join([{ limit, free_in_seconds: 0 }], slots, now);

describe("who is refused", () => {
  test("somebody comes within a second, however long slots are held and however many wait", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.double({ min: 0.01, max: 100_000, noNaN: true }),
        (waiting, held) => {
          const line = new Line();
          for (let sample = 0; sample < 50; sample++) line.noteOccupancy(limit.id, limit.limit, held);
          const times = Array.from({ length: waiting }, () => join(line, START));
          const gaps = times.map((time, index) => time - (times[index - 1] ?? 0));
          for (const gap of gaps) expect(gap).toBeLessThanOrEqual(1.000001);
          for (const time of times) expect(time).toBeGreaterThan(0);
        },
      ),
    );
  });

  test("waits at most half a minute, as with the original", () => {
    const line = new Line();
    const times = Array.from({ length: 100 }, () => join(line, START));
    expect(Math.max(...times)).toBe(30);
  });

  test("comes twice in the time in which a slot is expected", () => {
    const line = new Line();
    for (let sample = 0; sample < 100; sample++) line.noteOccupancy(limit.id, limit.limit, 0.1);
    const [first, second] = [join(line, START), join(line, START)];
    expect(first).toBeCloseTo(0.05, 3);
    expect(second).toBeCloseTo(0.1, 3);
  });

  test("has its place behind those who wait, and none when they have come", () => {
    const line = new Line();
    for (let count = 0; count < 5; count++) join(line, START);
    expect(join(line, START + 2 * SECOND)).toBe(4);
    expect(join(line, START + 60 * SECOND)).toBe(1);
  });

  test("waits behind the slots that somebody says are waited for", () => {
    const line = new Line();
    line.setWaiting(limit, 4, START);
    expect(join(line, START)).toBe(5);
    line.setWaiting(limit, 0, START);
    expect(join(line, START)).toBe(1);
  });

  test("comes when the slots of a rate have run off, one behind the other, even if that takes minutes", () => {
    const rate = { ...limit, slot_decay_per_second: 0.01 };
    const line = new Line();
    expect(line.join([{ limit: rate, free_in_seconds: 80 }], 1, START)).toBe(80);
    const fast = { ...limit, id: "fast", slot_decay_per_second: 2 };
    const times = Array.from({ length: 3 }, () => line.join([{ limit: fast, free_in_seconds: 0.3 }], 1, START));
    expect(times).toEqual([0.3, 0.8, 1.3]);
  });

  test("by two limits waits for the slower one", () => {
    const line = new Line();
    const slow = { ...limit, id: "slow", slot_decay_per_second: 0.1 };
    expect(
      line.join(
        [
          { limit, free_in_seconds: 0 },
          { limit: slow, free_in_seconds: 12 },
        ],
        1,
        START,
      ),
    ).toBe(12);
  });
});

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Limit } from "#objects/concurrency-limits/ledger";
import { Waiters } from "#objects/concurrency-limits/waiters";

const SECOND = 1_000_000;
const START = 1_700_000_000 * SECOND;
const limit: Limit = { id: "limit", name: "limit", limit: 1, active: true, slot_decay_per_second: 0 };
const join = (waiters: Waiters, now: number, slots = 1) => waiters.join([{ limit, free_in_seconds: 0 }], slots, now);

describe("a refused client", () => {
  test("waits at most a second longer than the client before it, however long slots are in use and however many clients wait", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.double({ min: 0.01, max: 100_000, noNaN: true }),
        (waiting, held) => {
          const waiters = new Waiters();
          for (let sample = 0; sample < 50; sample++) waiters.noteOccupancy(limit.id, limit.limit, held);
          const times = Array.from({ length: waiting }, () => join(waiters, START));
          const gaps = times.map((time, index) => time - (times[index - 1] ?? 0));
          for (const gap of gaps) expect(gap).toBeLessThanOrEqual(1.000001);
          for (const time of times) expect(time).toBeGreaterThan(0);
        },
      ),
    );
  });

  test("waits at most half a minute, as in the original", () => {
    const waiters = new Waiters();
    const times = Array.from({ length: 100 }, () => join(waiters, START));
    expect(Math.max(...times)).toBe(30);
  });

  test("retries twice in the time in which a slot is expected", () => {
    const waiters = new Waiters();
    for (let sample = 0; sample < 100; sample++) waiters.noteOccupancy(limit.id, limit.limit, 0.1);
    const [first, second] = [join(waiters, START), join(waiters, START)];
    expect(first).toBeCloseTo(0.05, 3);
    expect(second).toBeCloseTo(0.1, 3);
  });

  test("waits behind the other waiters until their waits have ended", () => {
    const waiters = new Waiters();
    for (let count = 0; count < 5; count++) join(waiters, START);
    expect(join(waiters, START + 2 * SECOND)).toBe(4);
    expect(join(waiters, START + 60 * SECOND)).toBe(1);
  });

  test("waits behind the slots that other requests wait for", () => {
    const waiters = new Waiters();
    waiters.setWaiting(limit, 4, START);
    expect(join(waiters, START)).toBe(5);
    waiters.setWaiting(limit, 0, START);
    expect(join(waiters, START)).toBe(1);
  });

  test("retries when the slots of a rate have decayed, one client after the other, even if this takes minutes", () => {
    const rate = { ...limit, slot_decay_per_second: 0.01 };
    const waiters = new Waiters();
    expect(waiters.join([{ limit: rate, free_in_seconds: 80 }], 1, START)).toBe(80);
    const fast = { ...limit, id: "fast", slot_decay_per_second: 2 };
    const times = Array.from({ length: 3 }, () => waiters.join([{ limit: fast, free_in_seconds: 0.3 }], 1, START));
    expect(times).toEqual([0.3, 0.8, 1.3]);
  });

  test("that two limits refuse waits for the slower limit", () => {
    const waiters = new Waiters();
    const slow = { ...limit, id: "slow", slot_decay_per_second: 0.1 };
    expect(
      waiters.join(
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

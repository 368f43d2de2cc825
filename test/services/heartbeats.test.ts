import fc from "fast-check";
import { expect, test } from "vitest";
import { type Heard, heartbeatInterval, LOOK_BACK } from "#services/signs-of-life";

const SECOND = 1_000_000;
const FALLBACK = 180 * SECOND;
const BEGAN = 1_000_000 * SECOND;

/**
 * A run that started at 0 and sent heartbeats so many seconds later. Each arrives at once, or at the time in
 * `arrivals`.
 */
function heardOf(sent: readonly number[], arrivals: readonly number[] = sent, fields: Partial<Heard> = {}): Heard {
  const heartbeats = sent.map((at, index) => ({
    occurred: BEGAN + at * SECOND,
    written: BEGAN + (arrivals[index] ?? at) * SECOND,
  }));
  return { heartbeats, attemptBegan: BEGAN, lastHeard: BEGAN + Math.max(0, ...arrivals) * SECOND, ...fields };
}

test.for([
  ["no heartbeat was sent", [], [], null],
  ["only one heartbeat was sent", [1], [1], 180],
  ["two heartbeats were sent", [1, 61], [1, 61], 60],
  ["they come each half minute", [1, 31, 61, 91, 121], [1, 31, 61, 91, 121], 30],
  ["they come less often than the fallback", [1, 601, 1201], [1, 601, 1201], 600],
  ["they were delayed and arrived together", [1, 61, 121, 181, 241], [200, 200, 201, 201, 241], 60],
  ["the first heartbeat was delayed", [1, 181], [150, 181], 180],
  ["there was a break of an hour", [1, 61, 121, 3721, 3781], [1, 61, 121, 3721, 3781], 60],
  ["their sender's clock was put back", [100, 160, 220, 100, 160], [100, 160, 220, 280, 340], 60],
  ["they arrive out of order", [121, 1, 61], [121, 1, 61], 60],
] as const)("when %s, the interval is computed from the heartbeats", ([, sent, arrivals, seconds]) => {
  expect(heartbeatInterval(heardOf(sent, arrivals), FALLBACK)).toBe(seconds === null ? null : seconds * SECOND);
});

test("attempts that fail early do not make the interval shorter", () => {
  const failed = heardOf([-20, -12, -5, 1], undefined);
  expect(heartbeatInterval(failed, FALLBACK)).toBe(FALLBACK);
  const slow = heardOf([-1300, -700, -100, 1], undefined);
  expect(heartbeatInterval(slow, FALLBACK)).toBe(600 * SECOND);
});

test("an attempt that ended before its first heartbeat has the fallback interval", () => {
  expect(heartbeatInterval(heardOf([-100, -70, -40]), FALLBACK)).toBe(FALLBACK);
});

test("the interval of a long attempt with one heartbeat is long", () => {
  const heard = heardOf([7_000], undefined, { attemptBegan: BEGAN - 3_600 * SECOND });
  expect(heartbeatInterval(heard, FALLBACK)).toBe(LOOK_BACK);
});

test("the interval of a run with regular heartbeats is never too short, though the network delays or loses some heartbeats", () => {
  const plan = fc.record({
    every: fc.integer({ min: 30, max: 900 }),
    count: fc.integer({ min: 1, max: 6 }),
    delays: fc.array(fc.integer({ min: 0, max: 2_000 }), { minLength: 6, maxLength: 6 }),
    lost: fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
  });
  fc.assert(
    fc.property(plan, ({ every, count, delays, lost }) => {
      const sent = Array.from({ length: count }, (_, index) => 1 + index * every).filter((_, index) => !lost[index]);
      const arrivals = sent.map((at, index) => at + (delays[index] ?? 0));
      const interval = heartbeatInterval(heardOf(sent, arrivals), FALLBACK);
      if (sent.length === 0) expect(interval).toBeNull();
      else expect(interval).toBeGreaterThanOrEqual(Math.min(FALLBACK, every * SECOND));
      // A computed interval is a multiple of the true interval.
      if (sent.length >= 2) expect((interval ?? 0) % (every * SECOND)).toBe(0);
    }),
  );
});

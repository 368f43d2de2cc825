import fc from "fast-check";
import { expect, test } from "vitest";
import { cronMoments, cronProblem } from "#lib/schedules/cron";

const MINUTE = 60_000_000;

function minutesOf(expression: string, seed: string, count: number): number[] {
  const moments = cronMoments({ expression, zone: "UTC", dayOr: true, seed }, 0);
  return [...moments.take(count)].map((moment) => moment / MINUTE);
}

test("a random minute is in its range, and is always the same for one seed", () => {
  fc.assert(
    fc.property(fc.uuid(), fc.integer({ min: 0, max: 58 }), (seed, low) => {
      const [first = -1, second] = minutesOf(`r(${low}-59) * * * *`, seed, 2);
      expect(first).toBeGreaterThanOrEqual(low);
      expect(first).toBeLessThan(60);
      expect(second).toBe(first + 60);
      expect(minutesOf(`R(${low}-59) * * * *`, seed, 2)).toEqual([first, second]);
    }),
  );
});

test("random steps start anywhere within the first step", () => {
  const firsts = Array.from({ length: 200 }, (_, seed) => minutesOf("r/15 * * * *", `${seed}`, 4));
  expect(firsts.every(([first = -1, , , last]) => first < 15 && last === first + 45)).toBe(true);
  expect(new Set(firsts.map(([first]) => first)).size).toBe(15);
});

test.for([
  "r(5-2) * * * *",
  "r(0-60) * * * *",
  "r/0 * * * *",
  "r/61 * * * *",
  "r(0-5 * * * *",
  "h(0-5) * * * *",
  "H * * * *",
])("%j is refused for every seed", (cron) => {
  expect(cronProblem(cron)).toBe(`Invalid cron string: "${cron}"`);
});

test("a random field without bounds is refused with a reason", () => {
  expect(cronProblem("R * * * *")).toBe('Random and Hashed expressions are unsupported, received: "R * * * *"');
});

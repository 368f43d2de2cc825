import fc from "fast-check";
import { describe, test } from "vitest";
import { retryFailedTasks as rule } from "#orchestration/rules/retry-failed-tasks";
import { askTaskRule, NOW, objections, SECOND } from "../builders.ts";

const run = { run_count: 1, empirical_policy: { retries: 1 } };

function delayOf(
  run_count: number,
  retry_delay: number | number[] | null,
  retry_jitter_factor?: number,
  drawn = 0.5,
): number {
  const empirical_policy = { retries: 99, retry_delay, retry_jitter_factor };
  const asked = { from: "RUNNING", run: { run_count, empirical_policy }, random: () => drawn } as const;
  const scheduled = askTaskRule(rule, asked, "FAILED").state?.state_details.scheduled_time;
  return ((scheduled ?? Number.NaN) - NOW) / SECOND;
}

test("only a running task's failure is tried again", ({ expect }) => {
  expect(objections((from, to) => askTaskRule(rule, { from, run }, to))).toEqual([
    "RUNNING to FAILED: REJECT AwaitingRetry",
  ]);
});

describe("a task that failed", () => {
  test.for([
    { title: "once of two tries is tried again", run_count: 1, retries: 1, retriable: undefined, type: "SCHEDULED" },
    { title: "twice of two tries is not", run_count: 2, retries: 1, retriable: undefined, type: "FAILED" },
    { title: "with no retries is not", run_count: 1, retries: 0, retriable: undefined, type: "FAILED" },
    { title: "with no word on retries is not", run_count: 1, retries: null, retriable: undefined, type: "FAILED" },
    { title: "and is not to be retried is not", run_count: 1, retries: 1, retriable: false, type: "FAILED" },
    { title: "and may be retried is tried again", run_count: 1, retries: 1, retriable: true, type: "SCHEDULED" },
    {
      title: "with no word on whether it may is tried again",
      run_count: 1,
      retries: 1,
      retriable: null,
      type: "SCHEDULED",
    },
  ])("$title", ({ run_count, retries, retriable, type }, { expect }) => {
    const asked = { from: "RUNNING", run: { run_count, empirical_policy: { retries } } } as const;
    expect(askTaskRule(rule, asked, { type: "FAILED", state_details: { retriable } }).state?.type).toBe(type);
  });
});

describe("the delay", () => {
  test.for([
    { title: "is none where none is set", run_count: 1, delay: null, seconds: 0 },
    { title: "is the one of all tries", run_count: 3, delay: 2.5, seconds: 2.5 },
    { title: "is the first of a list at first", run_count: 1, delay: [1, 10, 100], seconds: 1 },
    { title: "is the third of a list at the third", run_count: 3, delay: [1, 10, 100], seconds: 100 },
    { title: "is the last of a list ever after", run_count: 9, delay: [1, 10, 100], seconds: 100 },
    { title: "is the last of a list for a task that never ran", run_count: 0, delay: [1, 10, 100], seconds: 100 },
    { title: "is none of an empty list", run_count: 1, delay: [], seconds: 0 },
  ])("$title", ({ run_count, delay, seconds }, { expect }) => {
    expect(delayOf(run_count, delay)).toBe(seconds);
  });
});

describe("jitter", () => {
  test.for([
    { title: "leaves no delay alone", delay: 0, jitter: 1, drawn: 0.9, seconds: 0 },
    { title: "reaches one and the factor at most", delay: 10, jitter: 0.5, drawn: 1, seconds: 15 },
    {
      title: "begins above none, so that the mean stays",
      delay: 10,
      jitter: 1,
      drawn: 0,
      seconds: 4.150375,
    },
    { title: "begins at none for a huge factor", delay: 10, jitter: 60, drawn: 0, seconds: 0 },
    { title: "of none leaves the delay", delay: 10, jitter: 0, drawn: 0.9, seconds: 10 },
  ])("$title", ({ delay, jitter, drawn, seconds }, { expect }) => {
    expect(delayOf(1, delay, jitter, drawn)).toBeCloseTo(seconds, 6);
  });

  test("stays within its bounds, a higher draw giving a longer delay", ({ expect }) => {
    const numbers = fc.record({
      delay: fc.integer({ min: 1, max: 3600 }),
      jitter: fc.double({ min: 0.01, max: 20, noNaN: true }),
      drawn: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(numbers, ({ delay, jitter, drawn }) => {
        const seconds = delayOf(1, delay, jitter, drawn);
        expect(seconds).toBeGreaterThanOrEqual(0);
        expect(seconds).toBeLessThanOrEqual(delay * (1 + jitter) + 1e-5);
        expect(delayOf(1, delay, jitter, 1)).toBeGreaterThanOrEqual(seconds);
      }),
      { examples: [[{ delay: 138, jitter: 19.957148427019945, drawn: 1 }]] },
    );
  });
});

test("the retry keeps message and data", ({ expect }) => {
  const to = { type: "FAILED", message: "no", data: { type: "reference" } } as const;
  expect(askTaskRule(rule, { from: "RUNNING", run }, to)).toMatchObject({
    reason: "Retrying",
    state: { name: "AwaitingRetry", message: "no", data: { type: "reference" } },
  });
});

import fc from "fast-check";
import { describe, test } from "vitest";
import { retryFailedTasks as rule } from "#orchestration/rules/retries";
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

test("only a RUNNING task run that fails is retried", ({ expect }) => {
  expect(objections((from, to) => askTaskRule(rule, { from, run }, to))).toEqual([
    "RUNNING to FAILED: REJECT AwaitingRetry",
  ]);
});

describe("a failed task run", () => {
  test.for([
    {
      title: "that failed once of two tries is retried",
      run_count: 1,
      retries: 1,
      retriable: undefined,
      type: "SCHEDULED",
    },
    {
      title: "that failed twice of two tries is not retried",
      run_count: 2,
      retries: 1,
      retriable: undefined,
      type: "FAILED",
    },
    { title: "with 0 retries is not retried", run_count: 1, retries: 0, retriable: undefined, type: "FAILED" },
    { title: "with null retries is not retried", run_count: 1, retries: null, retriable: undefined, type: "FAILED" },
    { title: "that is not retriable is not retried", run_count: 1, retries: 1, retriable: false, type: "FAILED" },
    { title: "that is retriable is retried", run_count: 1, retries: 1, retriable: true, type: "SCHEDULED" },
    {
      title: "that does not say whether it is retriable is retried",
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
    { title: "is 0 if none is set", run_count: 1, delay: null, seconds: 0 },
    { title: "is the same for all tries if it is a number", run_count: 3, delay: 2.5, seconds: 2.5 },
    { title: "is the first of a list for the first retry", run_count: 1, delay: [1, 10, 100], seconds: 1 },
    { title: "is the third of a list for the third retry", run_count: 3, delay: [1, 10, 100], seconds: 100 },
    { title: "is the last of a list for all later retries", run_count: 9, delay: [1, 10, 100], seconds: 100 },
    { title: "is the last of a list for a task run that never ran", run_count: 0, delay: [1, 10, 100], seconds: 100 },
    { title: "is 0 for an empty list", run_count: 1, delay: [], seconds: 0 },
  ])("$title", ({ run_count, delay, seconds }, { expect }) => {
    expect(delayOf(run_count, delay)).toBe(seconds);
  });
});

describe("jitter", () => {
  test.for([
    { title: "does not change a delay of 0", delay: 0, jitter: 1, drawn: 0.9, seconds: 0 },
    { title: "makes the delay at most 1 + the factor times as long", delay: 10, jitter: 0.5, drawn: 1, seconds: 15 },
    {
      title: "makes the delay more than 0, so that the mean stays",
      delay: 10,
      jitter: 1,
      drawn: 0,
      seconds: 4.150375,
    },
    { title: "may make the delay 0 for a huge factor", delay: 10, jitter: 60, drawn: 0, seconds: 0 },
    { title: "of 0 does not change the delay", delay: 10, jitter: 0, drawn: 0.9, seconds: 10 },
  ])("$title", ({ delay, jitter, drawn, seconds }, { expect }) => {
    expect(delayOf(1, delay, jitter, drawn)).toBeCloseTo(seconds, 6);
  });

  test("stays within its bounds, and a higher random number gives a longer delay", ({ expect }) => {
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

test("the retry keeps the message and the data", ({ expect }) => {
  const to = { type: "FAILED", message: "no", data: { type: "reference" } } as const;
  expect(askTaskRule(rule, { from: "RUNNING", run }, to)).toMatchObject({
    reason: "Retrying",
    state: { name: "AwaitingRetry", message: "no", data: { type: "reference" } },
  });
});

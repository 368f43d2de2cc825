import { describe, test } from "vitest";
import { retryFailedFlows as rule } from "#orchestration/rules/retries";
import { askFlowRule, LEASE_ID, NOW, objections, SECOND } from "../builders.ts";

const run = { run_count: 1, empirical_policy: { retries: 1, retry_delay: 5 } };

test("only a RUNNING flow run that fails is retried", ({ expect }) => {
  expect(objections((from, to) => askFlowRule(rule, { from, run }, to))).toEqual([
    "RUNNING to FAILED: REJECT AwaitingRetry",
  ]);
});

describe("a failed flow run", () => {
  test.for([
    { title: "that failed once of two tries is retried", run_count: 1, retries: 1, type: "SCHEDULED" },
    { title: "that failed twice of two tries is not retried", run_count: 2, retries: 1, type: "FAILED" },
    { title: "with 0 retries is not retried", run_count: 1, retries: 0, type: "FAILED" },
    { title: "with null retries is not retried", run_count: 1, retries: null, type: "FAILED" },
    { title: "without a number of retries is not retried", run_count: 1, retries: undefined, type: "FAILED" },
  ])("$title", ({ run_count, retries, type }, { expect }) => {
    const { state } = askFlowRule(
      rule,
      { from: "RUNNING", run: { run_count, empirical_policy: { retries } } },
      "FAILED",
    );
    expect(state?.type).toBe(type);
  });
});

test("the AwaitingRetry state has the delay, and keeps message, data and lease", ({ expect }) => {
  const from = { type: "RUNNING", state_details: { deployment_concurrency_lease_id: LEASE_ID } } as const;
  const to = { type: "FAILED", message: "no", data: { type: "reference" } } as const;
  expect(askFlowRule(rule, { from, run }, to)).toMatchObject({
    reason: "Retrying",
    state: {
      type: "SCHEDULED",
      name: "AwaitingRetry",
      message: "no",
      data: { type: "reference" },
      state_details: { scheduled_time: NOW + 5 * SECOND, deployment_concurrency_lease_id: LEASE_ID },
    },
    changes: { state_type: "SCHEDULED", next_scheduled_start_time: NOW + 5 * SECOND },
    effects: [],
  });
});

describe("the policy of the run", () => {
  const before = { resuming: true, pause_keys: ["key"], retry_type: "in_process" } as const;
  const policyOf = (retries: number, apiVersion: readonly [number, number, number] | null = null) => {
    const empirical_policy = { ...before, pause_keys: ["key"], retries };
    return askFlowRule(rule, { from: "RUNNING", apiVersion, run: { run_count: 1, empirical_policy } }, "FAILED").changes
      .empirical_policy;
  };

  test("says that the retry is in the same process, and has no pauses", ({ expect }) => {
    expect(policyOf(1)).toEqual({ retries: 1, resuming: false, pause_keys: [], retry_type: "in_process" });
  });

  test("has no retry type when no retry is left", ({ expect }) => {
    expect(policyOf(0)).toEqual({ retries: 0, resuming: false, pause_keys: ["key"], retry_type: null });
  });

  test("does not change for a client that does not know pauses", ({ expect }) => {
    expect(policyOf(1, [0, 8, 3])).toBeUndefined();
  });
});

describe("failed task runs become AwaitingRetry", () => {
  test.for([
    { title: "for a client before 0.8.3", apiVersion: [0, 8, 2], count: 1 },
    { title: "not for a client of 0.8.3", apiVersion: [0, 8, 3], count: 0 },
    { title: "not for a client of a later minor version", apiVersion: [0, 9, 0], count: 0 },
    { title: "not for a client of the next major version", apiVersion: [1, 0, 0], count: 0 },
    { title: "not for a client that sends no version", apiVersion: null, count: 0 },
  ] as const)("$title", ({ apiVersion, count }, { expect }) => {
    const { effects } = askFlowRule(rule, { from: "RUNNING", run, apiVersion }, "FAILED");
    const effect = { kind: "retry-failed-task-runs", scheduled_time: NOW + 5 * SECOND };
    expect(effects).toEqual(Array.from({ length: count }, () => effect));
  });
});

import { describe, test } from "vitest";
import { handleResumingPausedFlows as rule } from "#orchestration/rules/scheduling";
import type { StateProposal } from "#wire/state";
import { askFlowRule, DEPLOYMENT_ID, NOW, objections, SECOND } from "../builders.ts";

const suspended: StateProposal = { type: "PAUSED", state_details: { pause_reschedule: true } };
const paused = (pause_timeout?: number): StateProposal => ({ type: "PAUSED", state_details: { pause_timeout } });

test("a PAUSED run can resume, be cancelled or end", ({ expect }) => {
  expect(objections((from, to) => askFlowRule(rule, { from }, to))).toEqual([
    "PAUSED to PENDING: REJECT",
    "PAUSED to PAUSED: REJECT",
  ]);
});

test("a PAUSED run fails after its timeout, unless it is cancelled", ({ expect }) => {
  const from = paused(NOW - SECOND);
  expect(objections((type, to) => askFlowRule(rule, { from: type === "PAUSED" ? from : type }, to))).toEqual([
    "PAUSED to SCHEDULED: REJECT Failed",
    "PAUSED to PENDING: REJECT",
    "PAUSED to RUNNING: REJECT Failed",
    "PAUSED to COMPLETED: REJECT Failed",
    // A proposed Failed is replaced by another Failed, so the name does not show the replacement.
    "PAUSED to FAILED: REJECT",
    "PAUSED to CANCELLED: REJECT Failed",
    "PAUSED to CRASHED: REJECT Failed",
    "PAUSED to PAUSED: REJECT",
  ]);
});

describe("the timeout", () => {
  test.for([
    { title: "a microsecond ago has passed", timeout: NOW - 1, type: "FAILED" },
    { title: "now is not over", timeout: NOW, type: "RUNNING" },
    { title: "in a while is not over", timeout: NOW + SECOND, type: "RUNNING" },
    { title: "may be absent", timeout: undefined, type: "RUNNING" },
  ])("$title", ({ timeout, type }, { expect }) => {
    expect(askFlowRule(rule, { from: paused(timeout) }, "RUNNING").state?.type).toBe(type);
  });

  test("is in the message of the state and in the answer", ({ expect }) => {
    const decision = askFlowRule(rule, { from: paused(1) }, "RUNNING");
    expect(decision.state?.message).toBe("The flow was running and never resumed.");
    expect(decision.reason).toBe("The flow run pause has timed out and can no longer resume.");
  });
});

describe("a suspended run", () => {
  test("needs a deployment to resume", ({ expect }) => {
    expect(askFlowRule(rule, { from: suspended }, "SCHEDULED")).toMatchObject({
      status: "REJECT",
      state: null,
      reason: "Cannot reschedule a scheduled flow run without a deployment.",
    });
  });

  test("resumes if it has a deployment", ({ expect }) => {
    const run = { deployment_id: DEPLOYMENT_ID };
    expect(askFlowRule(rule, { from: suspended, run }, "SCHEDULED").status).toBe("ACCEPT");
  });
});

describe("the run is marked as resuming", () => {
  test.for([
    { title: "when it is RUNNING", from: paused(), to: "RUNNING", resuming: true },
    { title: "when it is rescheduled", from: paused(), to: "SCHEDULED", resuming: true },
    { title: "when it fails because of its timeout", from: paused(1), to: "RUNNING", resuming: true },
    { title: "not when nothing is written", from: paused(), to: "PENDING", resuming: undefined },
    { title: "not when it was not PAUSED", from: "RUNNING", to: "RUNNING", resuming: undefined },
  ] as const)("$title", ({ from, to, resuming }, { expect }) => {
    expect(askFlowRule(rule, { from }, to).changes.empirical_policy?.resuming).toBe(resuming);
  });
});

test("the reason names both states", ({ expect }) => {
  const { reason } = askFlowRule(rule, { from: paused() }, "PENDING");
  expect(reason).toBe("This run cannot transition to the StateType.PENDING state from the StateType.PAUSED state.");
});

import { describe, test } from "vitest";
import { preventPendingTransitions as rule } from "#orchestration/rules/retries";
import { askFlowRule, askTaskRule, LEASE_ID, NOW, objections } from "../builders.ts";

const REFUSED = [
  "PENDING to PENDING: ABORT",
  "RUNNING to PENDING: ABORT",
  "CANCELLED to PENDING: ABORT",
  "CANCELLING to PENDING: ABORT",
];

test("a run that is PENDING, RUNNING, CANCELLING or CANCELLED does not become PENDING", ({ expect }) => {
  expect(objections((from, to) => askFlowRule(rule, { from }, to))).toEqual(REFUSED);
  expect(objections((from, to) => askTaskRule(rule, { from }, to))).toEqual(REFUSED);
});

describe("a PENDING run", () => {
  test.for([
    { from: "Pending", to: "Submitting", status: "ACCEPT" },
    { from: "Submitting", to: "InfrastructurePending", status: "ACCEPT" },
    { from: "Submitting", to: "Submitting", status: "ABORT" },
    { from: "Submitting", to: "Pending", status: "ABORT" },
    { from: "Pending", to: "Pending", status: "ABORT" },
  ])("goes from $from to $to: $status", ({ from, to, status }, { expect }) => {
    const decision = askFlowRule(rule, { from: { type: "PENDING", name: from } }, { type: "PENDING", name: to });
    expect(decision.status).toBe(status);
  });

  test("keeps its scheduled time and its lease in the next step", ({ expect }) => {
    const state_details = { scheduled_time: NOW, deployment_concurrency_lease_id: LEASE_ID };
    const to = { type: "PENDING", name: "Submitting", state_details: { scheduled_time: NOW + 5 } } as const;
    const { state } = askFlowRule(rule, { from: { type: "PENDING", state_details } }, to);
    expect(state?.state_details).toMatchObject(state_details);
  });
});

test("the reason names the run's state", ({ expect }) => {
  const { reason } = askFlowRule(rule, { from: "RUNNING" }, "PENDING");
  expect(reason).toBe("This run is in a RUNNING state and cannot transition to a PENDING state.");
});

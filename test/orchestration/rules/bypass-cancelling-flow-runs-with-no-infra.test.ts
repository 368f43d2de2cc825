import { test } from "vitest";
import { bypassCancellingFlowRunsWithNoInfra as rule } from "#orchestration/rules/terminal-states";
import type { StateProposal } from "#wire/state";
import { askFlowRule, objections } from "../builders.ts";

const suspended: StateProposal = { type: "PAUSED", name: "Suspended", state_details: { pause_reschedule: true } };
const SCHEDULED = "Scheduled flow run has no infrastructure to terminate.";
const SUSPENDED = "Suspended flow run has no infrastructure to terminate.";

test("of all states without details, only SCHEDULED becomes CANCELLED at once", ({ expect }) => {
  const answers = objections((from, to) => askFlowRule(rule, { from }, to));
  expect(answers).toEqual(["SCHEDULED to CANCELLING: REJECT Cancelled"]);
});

test.for<{ title: string; from: StateProposal; pid?: string; reason: string | null }>([
  { title: "a scheduled run has no infrastructure", from: { type: "SCHEDULED" }, reason: SCHEDULED },
  { title: "a scheduled run with a process has infrastructure", from: { type: "SCHEDULED" }, pid: "12", reason: null },
  {
    title: "a run that awaits a retry in its process has infrastructure",
    from: { type: "SCHEDULED", name: "AwaitingRetry" },
    pid: "12",
    reason: null,
  },
  {
    title: "the process of a resuming run has ended",
    from: { type: "SCHEDULED", name: "Resuming" },
    pid: "12",
    reason: SCHEDULED,
  },
  { title: "a suspended run has no infrastructure", from: suspended, reason: SUSPENDED },
  { title: "the process of a suspended run has ended", from: suspended, pid: "12", reason: SUSPENDED },
  { title: "a paused run has a process", from: { type: "PAUSED" }, reason: null },
])("$title", ({ from, pid = null, reason }, { expect }) => {
  const decision = askFlowRule(rule, { from, run: { infrastructure_pid: pid } }, "CANCELLING");
  expect(decision.reason).toBe(reason);
  expect(decision.state?.type).toBe(reason === null ? "CANCELLING" : "CANCELLED");
});

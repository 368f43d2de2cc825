import { test } from "vitest";
import { ensureOnlyScheduledFlowsMarkedLate as rule } from "#orchestration/rules/scheduling";
import { askFlowRule, objections } from "../builders.ts";

const late = { type: "SCHEDULED", name: "Late" } as const;

test("a state that is not named Late is accepted from every state", ({ expect }) => {
  expect(objections((from, to) => askFlowRule(rule, { from }, to))).toEqual([]);
});

test("only SCHEDULED and new runs become Late", ({ expect }) => {
  const refused = objections((from, to) => askFlowRule(rule, { from }, to === "SCHEDULED" ? late : to));
  expect(refused.filter((line) => line.includes("REJECT"))).toEqual(
    ["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "CRASHED", "PAUSED", "CANCELLING"].map(
      (from) => `${from} to SCHEDULED: REJECT`,
    ),
  );
});

test.for([
  { title: "a Scheduled run becomes Late", from: "Scheduled", reason: null },
  { title: "an AwaitingRetry run becomes Late", from: "AwaitingRetry", reason: null },
  { title: "a Late run does not become Late again", from: "Late", reason: "This flow run is already marked late." },
])("$title", ({ from, reason }, { expect }) => {
  expect(askFlowRule(rule, { from: { type: "SCHEDULED", name: from } }, late).reason).toBe(reason);
});

import { test } from "vitest";
import { enforceDeploymentConcurrencyOnLate as rule } from "#orchestration/rules/slots";
import type { StateProposal } from "#wire/state";
import { aDeployment, askFlowRule, DEPLOYMENT_ID, LIMIT_ID } from "../builders.ts";

const late: StateProposal = { type: "SCHEDULED", name: "Late" };
const run = { deployment_id: DEPLOYMENT_ID };
const cancelling = aDeployment({ collision_strategy: "CANCEL_NEW" });

test("a late run becomes CANCELLED if its deployment cancels runs and has no free slot", ({ expect }) => {
  const decision = askFlowRule(rule, { from: "SCHEDULED", run, deployment: cancelling, slot: "full" }, late);
  expect([decision.status, decision.state?.type, decision.reason]).toEqual([
    "REJECT",
    "CANCELLED",
    "Deployment concurrency limit is full and uses the CANCEL_NEW strategy.",
  ]);
});

test("the limit is read, and no slot is taken", ({ expect }) => {
  const { status, effects } = askFlowRule(rule, { from: "SCHEDULED", run, deployment: cancelling }, late);
  expect([status, effects]).toEqual(["ACCEPT", [{ kind: "see-slots", limit_id: LIMIT_ID, slots: 2 }]]);
});

test.for([
  { title: "of a deployment that lets runs wait", deployment: aDeployment(), to: late },
  {
    title: "of a deployment without a limit",
    deployment: aDeployment({ limit: null, collision_strategy: "CANCEL_NEW" }),
    to: late,
  },
  { title: "without a deployment", deployment: null, to: late },
  { title: "that does not become Late", deployment: cancelling, to: { type: "SCHEDULED" } as StateProposal },
])("the proposed state of a run $title is accepted", ({ deployment, to }, { expect }) => {
  const { status, effects } = askFlowRule(rule, { from: "SCHEDULED", run, deployment, slot: "full" }, to);
  expect([status, effects]).toEqual(["ACCEPT", []]);
});

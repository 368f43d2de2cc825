import { test } from "vitest";
import { copyTaskParametersId as rule } from "#orchestration/rules/task-runs";
import { askTaskRule, LEASE_ID as OWN, PARENT_ID as OTHER } from "../builders.ts";

test.for([
  { from: "SCHEDULED", to: "PENDING", sent: undefined, kept: OWN },
  { from: "PENDING", to: "RUNNING", sent: undefined, kept: OWN },
  { from: "SCHEDULED", to: "RUNNING", sent: undefined, kept: OWN },
  { from: "SCHEDULED", to: "PENDING", sent: OTHER, kept: OTHER },
  { from: "RUNNING", to: "PENDING", sent: undefined, kept: undefined },
  { from: "PENDING", to: "COMPLETED", sent: undefined, kept: undefined },
] as const)("from $from to $to, sending $sent, the parameters are $kept", ({ from, to, sent, kept }, { expect }) => {
  const initial = { type: from, state_details: { task_parameters_id: OWN } };
  const { state } = askTaskRule(rule, { from: initial }, { type: to, state_details: { task_parameters_id: sent } });
  expect(state?.state_details.task_parameters_id).toBe(kept);
});

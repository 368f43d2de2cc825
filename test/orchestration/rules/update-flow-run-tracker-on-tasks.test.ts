import { test } from "vitest";
import { updateFlowRunTrackerOnTasks as rule } from "#orchestration/rules/task-runs";
import { aState, askTaskRule, FLOW_RUN_ID } from "../builders.ts";

const flowRun = { id: FLOW_RUN_ID, run_count: 3, state: aState("RUNNING") };

test.for([
  { title: "a task run that is RUNNING gets the run count of its flow run", flowRun, to: "RUNNING", count: 3 },
  { title: "a task run that is not RUNNING keeps its value", flowRun, to: "PENDING", count: undefined },
  { title: "a task run without a flow run keeps its value", flowRun: null, to: "RUNNING", count: undefined },
] as const)("$title", ({ flowRun, to, count }, { expect }) => {
  expect(askTaskRule(rule, { from: "PENDING", flowRun }, to).changes.flow_run_run_count).toBe(count);
});

import { describe, test } from "vitest";
import { handleTaskTerminalStateTransitions as rule } from "#orchestration/rules/terminal-states";
import { aState, askTaskRule, FLOW_RUN_ID, objections, PERSISTED } from "../builders.ts";

const ENDS = ["COMPLETED", "FAILED", "CANCELLED", "CRASHED"];
const STOPS = ["CRASHED: ABORT", "PAUSED: ABORT", "CANCELLING: ABORT"];
const run = { flow_run_run_count: 1 };

test("a task run that has ended cannot stop again", ({ expect }) => {
  const refused = objections((from, to) => askTaskRule(rule, { from, run }, to));
  expect(refused).toEqual(ENDS.flatMap((from) => STOPS.map((to) => `${from} to ${to}`)));
});

test.for([
  ["a stored result", PERSISTED],
  ["an inline list", [1, 2]],
  ["an inline number", 0],
] as const)("a COMPLETED task run with %s cannot change its state", ([, data], { expect }) => {
  const from = { type: "COMPLETED", data } as const;
  const refused = objections((type, to) => askTaskRule(rule, { from: type === "COMPLETED" ? from : null, run }, to));
  expect(refused).toEqual([
    "COMPLETED to SCHEDULED: REJECT",
    "COMPLETED to PENDING: REJECT",
    "COMPLETED to RUNNING: REJECT",
    "COMPLETED to COMPLETED: REJECT",
    "COMPLETED to FAILED: REJECT",
    "COMPLETED to CANCELLED: REJECT",
    "COMPLETED to CRASHED: ABORT",
    "COMPLETED to PAUSED: ABORT",
    "COMPLETED to CANCELLING: ABORT",
  ]);
});

describe("the run count", () => {
  test.for([
    { title: "starts again when the run is RUNNING", to: "RUNNING", count: 1 },
    { title: "starts again when the run is PENDING", to: "PENDING", count: 0 },
    { title: "starts again when the run is SCHEDULED", to: "SCHEDULED", count: 0 },
    { title: "stays when the run gets another terminal state", to: "CANCELLED", count: undefined },
    { title: "stays when the transition is refused", to: "PAUSED", count: undefined },
  ] as const)("$title", ({ to, count }, { expect }) => {
    expect(askTaskRule(rule, { from: "FAILED", run: { run_count: 4 } }, to).changes.run_count).toBe(count);
  });
});

describe("the name of a task run that runs again", () => {
  test.for([
    { title: "is Retrying in a later try of its flow run", flowRunCount: 2, to: "RUNNING", name: "Retrying" },
    { title: "stays in the same try of its flow run", flowRunCount: 1, to: "RUNNING", name: "Running" },
    { title: "stays unless the task run is RUNNING", flowRunCount: 2, to: "PENDING", name: "Pending" },
  ] as const)("$title", ({ flowRunCount, to, name }, { expect }) => {
    const flowRun = { id: FLOW_RUN_ID, run_count: flowRunCount, state: aState("RUNNING") };
    expect(askTaskRule(rule, { from: "FAILED", run, flowRun }, to).state?.name).toBe(name);
  });

  test("stays without a flow run", ({ expect }) => {
    const decision = askTaskRule(rule, { from: "FAILED", run: { flow_run_id: null }, flowRun: null }, "RUNNING");
    expect(decision.state?.name).toBe("Running");
  });
});

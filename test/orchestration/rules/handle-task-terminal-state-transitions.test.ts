import { describe, test } from "vitest";
import { handleTaskTerminalStateTransitions as rule } from "#orchestration/rules/handle-task-terminal-state-transitions";
import { aState, askTaskRule, FLOW_RUN_ID, objections, PERSISTED } from "../builders.ts";

const ENDS = ["COMPLETED", "FAILED", "CANCELLED", "CRASHED"];
const STOPS = ["CRASHED: ABORT", "PAUSED: ABORT", "CANCELLING: ABORT"];
const run = { flow_run_run_count: 1 };

test("a task at its end cannot stop again", ({ expect }) => {
  const refused = objections((from, to) => askTaskRule(rule, { from, run }, to));
  expect(refused).toEqual(ENDS.flatMap((from) => STOPS.map((to) => `${from} to ${to}`)));
});

test.for([
  ["a stored result", PERSISTED],
  ["an inline list", [1, 2]],
  ["an inline number", 0],
] as const)("%s keeps a completed task from going anywhere", ([, data], { expect }) => {
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

describe("the count of runs", () => {
  test.for([
    { title: "starts again when it runs", to: "RUNNING", count: 1 },
    { title: "starts again when it is pending", to: "PENDING", count: 0 },
    { title: "starts again when it is scheduled", to: "SCHEDULED", count: 0 },
    { title: "stays at another end", to: "CANCELLED", count: undefined },
    { title: "stays where the transition is refused", to: "PAUSED", count: undefined },
  ] as const)("$title", ({ to, count }, { expect }) => {
    expect(askTaskRule(rule, { from: "FAILED", run: { run_count: 4 } }, to).changes.run_count).toBe(count);
  });
});

describe("the name of a task that runs again", () => {
  test.for([
    { title: "is Retrying in a later try of its flow", flowRunCount: 2, to: "RUNNING", name: "Retrying" },
    { title: "stays in the same try", flowRunCount: 1, to: "RUNNING", name: "Running" },
    { title: "stays unless it runs", flowRunCount: 2, to: "PENDING", name: "Pending" },
  ] as const)("$title", ({ flowRunCount, to, name }, { expect }) => {
    const flowRun = { id: FLOW_RUN_ID, run_count: flowRunCount, state: aState("RUNNING") };
    expect(askTaskRule(rule, { from: "FAILED", run, flowRun }, to).state?.name).toBe(name);
  });

  test("stays without a flow", ({ expect }) => {
    const decision = askTaskRule(rule, { from: "FAILED", run: { flow_run_id: null }, flowRun: null }, "RUNNING");
    expect(decision.state?.name).toBe("Running");
  });
});

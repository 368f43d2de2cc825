import { test } from "vitest";
import { renameReruns as rule } from "#orchestration/rules/retries";
import { askTaskRule, objections } from "../builders.ts";

test("the first RUNNING state keeps its name, for any state before it", ({ expect }) => {
  expect(objections((from, to) => askTaskRule(rule, { from }, to))).toEqual([]);
});

test.for([
  {
    title: "a task run that was AwaitingRetry is Retrying",
    from: { type: "SCHEDULED", name: "AwaitingRetry" },
    name: "Retrying",
  },
  { title: "a task run that ran before is Rerunning", from: { type: "PENDING" }, name: "Rerunning" },
  { title: "a failed task run is Rerunning", from: { type: "FAILED" }, name: "Rerunning" },
  { title: "a task run without a state keeps the name", from: null, name: "Running" },
] as const)("$title", ({ from, name }, { expect }) => {
  const decision = askTaskRule(rule, { from, run: { run_count: 1 } }, "RUNNING");
  expect(decision).toMatchObject({ status: "ACCEPT", state: { name }, changes: { state_name: name } });
});

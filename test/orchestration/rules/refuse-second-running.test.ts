import { test } from "vitest";
import { refuseSecondRunning as rule } from "#orchestration/rules/retries";
import { aDeployment, askFlowRule, objections } from "../builders.ts";

test("a RUNNING run does not become RUNNING again if its deployment says so", ({ expect }) => {
  const deployment = aDeployment({ exactly_once: true });
  expect(objections((from, to) => askFlowRule(rule, { from, deployment }, to))).toEqual(["RUNNING to RUNNING: ABORT"]);
});

test.for([null, aDeployment()])(
  "a RUNNING run becomes RUNNING again if its deployment does not refuse it",
  (deployment, { expect }) => {
    expect(objections((from, to) => askFlowRule(rule, { from, deployment }, to))).toEqual([]);
  },
);

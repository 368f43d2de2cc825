import { test } from "vitest";
import { refuseSecondRunning as rule } from "#orchestration/rules/refuse-second-running";
import { aDeployment, askFlowRule, objections } from "../builders.ts";

test("a running run is not started again where its deployment says so", ({ expect }) => {
  const deployment = aDeployment({ exactly_once: true });
  expect(objections((from, to) => askFlowRule(rule, { from, deployment }, to))).toEqual(["RUNNING to RUNNING: ABORT"]);
});

test.for([null, aDeployment()])("it is where its deployment does not", (deployment, { expect }) => {
  expect(objections((from, to) => askFlowRule(rule, { from, deployment }, to))).toEqual([]);
});

import { test } from "vitest";
import { enforceCancellingToCancelledTransition as rule } from "#orchestration/rules/terminal-states";
import { STATE_TYPES } from "#wire/state";
import { askFlowRule, objections } from "../builders.ts";

test("a CANCELLING run can only become CANCELLED", ({ expect }) => {
  const others = STATE_TYPES.filter((type) => type !== "CANCELLED");
  const refused = objections((from, to) => askFlowRule(rule, { from }, to));
  expect(refused).toEqual(others.map((to) => `CANCELLING to ${to}: REJECT`));
});

test("the answer has the current state and the reason", ({ expect }) => {
  expect(askFlowRule(rule, { from: "CANCELLING" }, "FAILED")).toMatchObject({
    state: null,
    reason: "Cannot transition flows that are cancelling to a state other than Cancelled.",
  });
});

import { test } from "vitest";
import { preventResultDataLoss as rule } from "#orchestration/rules/terminal-states";
import { askFlowRule, objections, PERSISTED } from "../builders.ts";

test("only a COMPLETED run with a stored result is refused, and only to become COMPLETED", ({ expect }) => {
  const refused = objections((type, to) => askFlowRule(rule, { from: type && { type, data: PERSISTED } }, to));
  expect(refused).toEqual(["COMPLETED to COMPLETED: REJECT"]);
});

test.for([
  { title: "a stored result replaces a stored result", from: PERSISTED, to: PERSISTED, status: "ACCEPT" },
  {
    title: "an unpersisted result does not replace a stored one",
    from: PERSISTED,
    to: { type: "unpersisted" },
    status: "REJECT",
  },
  { title: "null does not replace a list", from: [1, 2], to: null, status: "REJECT" },
  { title: "a list replaces a stored result", from: PERSISTED, to: [1, 2], status: "ACCEPT" },
  { title: "null replaces data of the type unpersisted", from: { type: "unpersisted" }, to: null, status: "ACCEPT" },
  { title: "null replaces null", from: null, to: null, status: "ACCEPT" },
])("$title", ({ from, to, status }, { expect }) => {
  const decision = askFlowRule(rule, { from: { type: "COMPLETED", data: from } }, { type: "COMPLETED", data: to });
  expect(decision.status).toBe(status);
});

import { describe, test } from "vitest";
import { waitForScheduledTime as rule } from "#orchestration/rules/scheduling";
import { askFlowRule, askTaskRule, NOW, objections, SECOND } from "../builders.ts";

test("a SCHEDULED or PENDING run does not start before its scheduled time", ({ expect }) => {
  const state_details = { scheduled_time: NOW + 60 * SECOND };
  const refused = ["SCHEDULED to RUNNING: WAIT", "PENDING to RUNNING: WAIT"];
  expect(objections((type, to) => askFlowRule(rule, { from: type && { type, state_details } }, to))).toEqual(refused);
  expect(objections((type, to) => askTaskRule(rule, { from: type && { type, state_details } }, to))).toEqual(refused);
});

describe("the delay is in whole seconds, and half a second becomes 0", () => {
  test.for([
    { micros: -5 * SECOND, delaySeconds: null },
    { micros: -1, delaySeconds: null },
    { micros: 0, delaySeconds: null },
    { micros: 500_000, delaySeconds: null },
    { micros: 500_001, delaySeconds: 1 },
    { micros: 1_000_000, delaySeconds: 1 },
    { micros: 1_500_000, delaySeconds: 1 },
    { micros: 1_500_001, delaySeconds: 2 },
    { micros: 2_500_000, delaySeconds: 2 },
    { micros: 86_400 * SECOND, delaySeconds: 86_400 },
  ])("$micros microseconds ahead: $delaySeconds", ({ micros, delaySeconds }, { expect }) => {
    const from = { type: "PENDING", state_details: { scheduled_time: NOW + micros } } as const;
    expect(askFlowRule(rule, { from }, "RUNNING").delaySeconds).toBe(delaySeconds);
  });
});

test("a PENDING run without a scheduled time starts", ({ expect }) => {
  expect(askFlowRule(rule, { from: "PENDING" }, "RUNNING").status).toBe("ACCEPT");
});

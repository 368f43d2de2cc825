import { test } from "vitest";
import { copyScheduledTime as rule } from "#orchestration/rules/scheduling";
import { askFlowRule, NOW, SECOND } from "../builders.ts";

const scheduled = { type: "SCHEDULED", state_details: { scheduled_time: NOW + 9 * SECOND } } as const;

test.for([
  {
    title: "a PENDING state gets the scheduled time",
    from: scheduled,
    scheduled_time: undefined,
    kept: NOW + 9 * SECOND,
  },
  { title: "a PENDING state with a scheduled time keeps its own", from: scheduled, scheduled_time: NOW, kept: NOW },
  {
    title: "a run that was not SCHEDULED has no scheduled time",
    from: "PAUSED",
    scheduled_time: undefined,
    kept: undefined,
  },
] as const)("$title", ({ from, scheduled_time, kept }, { expect }) => {
  const { state } = askFlowRule(rule, { from }, { type: "PENDING", state_details: { scheduled_time } });
  expect(state?.state_details.scheduled_time).toBe(kept);
});

test("only a PENDING state gets the scheduled time", ({ expect }) => {
  expect(askFlowRule(rule, { from: scheduled }, "RUNNING").state?.state_details.scheduled_time).toBeUndefined();
});

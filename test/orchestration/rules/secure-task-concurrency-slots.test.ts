import { test } from "vitest";
import { secureTaskConcurrencySlots as rule } from "#orchestration/rules/slots";
import { askTaskRule, objections, OWN_LEASE_ID } from "../builders.ts";

const run = { tags: ["small", "big"] };

test("a task run with tags takes slots to become RUNNING", ({ expect }) => {
  const asked = objections((from, to) => {
    const { effects } = askTaskRule(rule, { from, run }, to);
    return { status: effects.some(({ kind }) => kind === "take-tag-slots") ? "WAIT" : "ACCEPT", state: null };
  });
  expect(asked.every((line) => line.includes("to RUNNING"))).toBe(true);
  expect(asked).toHaveLength(10);
  expect(askTaskRule(rule, { run }, "RUNNING").effects).toEqual([
    { kind: "take-tag-slots", tags: ["small", "big"], lease_id: OWN_LEASE_ID },
  ]);
});

test("a task run without tags takes no slots", ({ expect }) => {
  expect(askTaskRule(rule, { run: { tags: [] } }, "RUNNING").effects).toEqual([]);
});

test.for([
  { seconds: 0.02, delay: 1 },
  { seconds: 1.4, delay: 1 },
  { seconds: 12.6, delay: 13 },
])("a client that is refused for $seconds s proposes again after $delay s", ({ seconds, delay }, { expect }) => {
  const slots = { kind: "full", tags: ["small"], retry_after_seconds: seconds } as const;
  const { status, delaySeconds, reason, effects } = askTaskRule(rule, { run, slots }, "RUNNING");
  expect([status, delaySeconds, effects]).toEqual(["WAIT", delay, []]);
  expect(reason).toBe("Concurrency limit reached for tags: small");
});

test("a limit of 0 aborts the task run", ({ expect }) => {
  const { status, reason } = askTaskRule(rule, { run, slots: { kind: "too small", tags: ["big"] } }, "RUNNING");
  expect([status, reason]).toEqual([
    "ABORT",
    'The concurrency limit on tag "big" is 0 and will deadlock if the task tries to run again.',
  ]);
});

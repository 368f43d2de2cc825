import { test } from "vitest";
import { enqueueScheduledTasks as rule } from "#orchestration/rules/task-runs";
import type { StateProposal } from "#wire/state";
import { askTaskRule } from "../builders.ts";

const state_details = { deferred: true };

test.for<{ title: string; to: StateProposal; effects: { retry: boolean }[] }>([
  { title: "a deferred task run is queued", to: { type: "SCHEDULED", state_details }, effects: [{ retry: false }] },
  {
    title: "a deferred retry is queued as a retry",
    to: { type: "SCHEDULED", name: "AwaitingRetry", state_details },
    effects: [{ retry: true }],
  },
  { title: "a task run of a flow run is not queued", to: { type: "SCHEDULED" }, effects: [] },
  { title: "a task run that is not SCHEDULED is not queued", to: { type: "PENDING", state_details }, effects: [] },
])("$title", ({ to, effects }, { expect }) => {
  const decision = askTaskRule(rule, {}, to);
  expect(decision.effects).toEqual(effects.map((effect) => ({ kind: "enqueue-task-run", ...effect })));
});

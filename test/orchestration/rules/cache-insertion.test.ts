import { test } from "vitest";
import { cacheInsertion as rule } from "#orchestration/rules/task-runs";
import { askTaskRule, NOW } from "../builders.ts";

const completed = (cache_key?: string, cache_expiration?: number) =>
  ({ type: "COMPLETED", message: "done", state_details: { cache_key, cache_expiration } }) as const;

test.for([
  {
    title: "a key without an expiration is cached for ever",
    to: completed("key"),
    effects: [{ cache_key: "key", cache_expiration: null }],
  },
  {
    title: "a key with an expiration is cached until then",
    to: completed("key", NOW),
    effects: [{ cache_key: "key", cache_expiration: NOW }],
  },
  { title: "a state without a key is not cached", to: completed(), effects: [] },
])("$title", ({ to, effects }, { expect }) => {
  const decision = askTaskRule(rule, { from: "RUNNING" }, to);
  expect(decision.effects).toEqual(effects.map((effect) => ({ kind: "insert-cache", ...effect })));
});

test("a failed task run is not cached", ({ expect }) => {
  expect(askTaskRule(rule, { from: "RUNNING" }, { ...completed("key"), type: "FAILED" }).effects).toEqual([]);
});

test.for([
  { length: 2000, status: "ACCEPT", reason: null },
  { length: 2001, status: "REJECT", reason: "Cache key exceeded maximum allowed length of 2000 characters." },
])(
  "a key of $length characters: $status, but the state is written and cached",
  ({ length, status, reason }, { expect }) => {
    const decision = askTaskRule(rule, { from: "RUNNING" }, completed("k".repeat(length)));
    expect(decision).toMatchObject({ status, reason, state: { type: "COMPLETED", message: "done" } });
    expect(decision.effects).toHaveLength(1);
  },
);

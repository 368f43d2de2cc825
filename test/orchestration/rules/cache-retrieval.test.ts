import { test } from "vitest";
import { cacheRetrieval as rule } from "#orchestration/rules/task-runs";
import { aState, askTaskRule, NOW, objections, PERSISTED } from "../builders.ts";

const cached = aState({ type: "COMPLETED", data: PERSISTED, state_details: { cache_key: "key" } }, NOW - 1000);
const running = (state_details: { cache_key?: string; refresh_cache?: boolean }) =>
  ({ type: "RUNNING", state_details }) as const;

test("a run without a cache key runs", ({ expect }) => {
  expect(objections((from, to) => askTaskRule(rule, { from, cached }, to))).toEqual([]);
});

test.for([
  { title: "a key in the cache gives the cached state", state_details: { cache_key: "key" }, cached, name: "Cached" },
  { title: "a task run with another key runs", state_details: { cache_key: "key" }, cached: null, name: "Running" },
  {
    title: "a task run that refreshes the cache runs",
    state_details: { cache_key: "key", refresh_cache: true },
    cached,
    name: "Running",
  },
])("$title", ({ state_details, cached, name }, { expect }) => {
  expect(askTaskRule(rule, { from: "PENDING", cached }, running(state_details)).state?.name).toBe(name);
});

test("the cached state is written as a new one, with its data", ({ expect }) => {
  const decision = askTaskRule(rule, { from: "PENDING", cached }, running({ cache_key: "key" }));
  expect(decision.reason).toBe("Retrieved state from cache");
  expect(decision.state).toMatchObject({ type: "COMPLETED", data: PERSISTED, timestamp: NOW });
  expect(decision.changes).toMatchObject({ end_time: NOW, state_name: "Cached" });
});

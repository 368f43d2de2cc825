import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { aFlow, aFlowRun, api, unique, WORKSPACE } from "../support/world";

const DAY = 86_400;
const at = (day: number, second = 0) => new Date(Date.UTC(2098, 0, day, 0, 0, second)).toISOString();
const scheduled = (time: string, name?: string) => ({
  type: "SCHEDULED",
  name,
  state_details: { scheduled_time: time },
});

interface Interval {
  interval_start: string;
  interval_end: string;
  states: {
    state_type: string;
    state_name: string;
    count_runs: number;
    sum_estimated_run_time: number;
    sum_estimated_lateness: number;
  }[];
}

const WINDOW = { history_start: at(1), history_end: at(4), history_interval_seconds: DAY };

test("runs are counted by the interval of their expected start and by state; the end of an interval is in the next interval", async () => {
  const tag = unique("history");
  const flow_id = await aFlow();
  for (const state of [
    scheduled(at(1)),
    scheduled(at(1, DAY - 1)),
    scheduled(at(2), "Late"),
    scheduled(at(2)),
    scheduled(at(4)),
  ]) {
    await aFlowRun({ flow_id, tags: [tag], state });
  }
  const { body } = await api<Interval[]>("POST", "/flow_runs/history", {
    ...WINDOW,
    flow_runs: { tags: { all_: [tag] } },
  });
  expect(
    body.map(({ interval_start, states }) => [interval_start, states.map((one) => [one.state_name, one.count_runs])]),
  ).toEqual([
    ["2098-01-01T00:00:00Z", [["Scheduled", 2]]],
    [
      "2098-01-02T00:00:00Z",
      [
        ["Late", 1],
        ["Scheduled", 1],
      ],
    ],
    ["2098-01-03T00:00:00Z", []],
  ]);
});

test.for<[string, Record<string, unknown>, number, string | undefined]>([
  ["the last interval may go beyond the end", { history_interval_seconds: 2 * DAY }, 2, "2098-01-05T00:00:00Z"],
  [
    "fractions of a second are kept",
    { history_end: at(1, 3), history_interval_seconds: 1.3333333 },
    3,
    "2098-01-01T00:00:03.999999Z",
  ],
  ["no more than 500 intervals are answered", { history_interval_seconds: 1 }, 500, "2098-01-01T00:08:20Z"],
  ["an end before the start leaves none", { history_end: "2097-01-01T00:00:00Z" }, 0, undefined],
  ["an end at the start leaves none", { history_end: at(1) }, 0, undefined],
])("%s", async ([, change, intervals, end]) => {
  const { body } = await api<Interval[]>("POST", "/flow_runs/history", { ...WINDOW, ...change });
  expect([body.length, body.at(-1)?.interval_end]).toEqual([intervals, end]);
});

test.for(["/flow_runs/history", "/task_runs/history"])("%s refuses an invalid window", async (path) => {
  const short = await api("POST", path, { ...WINDOW, history_interval_seconds: 0.999 });
  expect([short.status, short.body]).toEqual([422, { detail: "History interval must not be less than 1 second." }]);
  expect((await api("POST", path, { ...WINDOW, history_interval_seconds: 1e18 })).status).toBe(422);
  const { history_start: _, ...startless } = WINDOW;
  const missing = await api<{ exception_detail: unknown[] }>("POST", path, startless);
  expect(missing.body.exception_detail).toEqual([
    { type: "missing", loc: ["body", "history_start"], msg: "Field required", input: null },
  ]);
});

/** Rows of runs, and the contribution of each to the history. Times are seconds after 2098-01-01. */
const RUNS = [
  { state: "COMPLETED", expected: 10, start: 14, total: 5, run: 5, late: 4 },
  { state: "COMPLETED", expected: 10, start: 8, total: 5, run: 5, late: 0 },
  { state: "FAILED", expected: 10, start: null, total: 0, run: 0, late: 0 },
  { state: "COMPLETED", expected: 10, start: 10, total: -3, run: 0, late: 0 },
];

test("run times and lateness are summed, and neither is negative", async () => {
  const [flow_id, tag] = [await aFlow(), unique("sums")];
  const base = Date.UTC(2098, 0, 1) * 1000;
  for (const { state, expected, start, total } of RUNS) {
    const run = await aFlowRun({ flow_id, tags: [tag] });
    await env.DB.prepare(
      "update flow_run set state_type = ?, expected_start_time = ?, start_time = ?, total_run_time = ? where id = ?",
    )
      .bind(state, base + expected * 1e6, start === null ? null : base + start * 1e6, total * 1e6, run.id)
      .run();
  }
  const { body } = await api<Interval[]>("POST", "/flow_runs/history", {
    ...WINDOW,
    flow_runs: { tags: { all_: [tag] } },
  });
  const sum = (key: "run" | "late") =>
    RUNS.filter(({ state }) => state === "COMPLETED").reduce((all, one) => all + one[key], 0);
  expect(body[0]?.states).toMatchObject([
    { state_type: "COMPLETED", count_runs: 3, sum_estimated_run_time: sum("run"), sum_estimated_lateness: sum("late") },
    { state_type: "FAILED", count_runs: 1, sum_estimated_run_time: 0, sum_estimated_lateness: 0 },
  ]);
});

test("a RUNNING run adds its run time until now", async () => {
  const tag = unique("running");
  const run = await aFlowRun({ tags: [tag], state: { type: "RUNNING" } });
  await env.DB.prepare("update flow_run set state_timestamp = ? where id = ?")
    .bind((Date.now() - 60_000) * 1000, run.id)
    .run();
  const hour = 3_600_000;
  const { body } = await api<Interval[]>("POST", "/flow_runs/history", {
    history_start: new Date(Date.now() - hour).toISOString(),
    history_end: new Date(Date.now() + hour).toISOString(),
    history_interval_seconds: 7200,
    flow_runs: { tags: { all_: [tag] } },
  });
  const [state] = body[0]?.states ?? [];
  expect(state?.count_runs).toBe(1);
  expect(state?.sum_estimated_run_time).toBeGreaterThanOrEqual(60);
  expect(state?.sum_estimated_run_time).toBeLessThan(70);
});

test("task runs have their own history", async () => {
  const run = await aFlowRun({ state: { type: "RUNNING" } });
  await api("POST", "/task_runs/", { flow_run_id: run.id, task_key: "t", dynamic_key: "0", state: scheduled(at(2)) });
  const { body } = await api<Interval[]>("POST", "/task_runs/history", {
    ...WINDOW,
    flow_runs: { id: { any_: [run.id] } },
  });
  expect(body.map(({ states }) => states.length)).toEqual([0, 1, 0]);
});

test("a history accepts a queue filter under the name work_queues", async () => {
  const tag = unique("queue");
  const queue = crypto.randomUUID();
  await env.DB.prepare(
    "insert into work_queue (workspace_id, id, created, updated, name, work_pool_id, is_paused, priority, status) values (?, ?, 1, 1, 'q', 'p', 0, 1, 'READY')",
  )
    .bind(WORKSPACE, queue)
    .run();
  const run = await aFlowRun({ tags: [tag], state: scheduled(at(1)) });
  await aFlowRun({ tags: [tag], state: scheduled(at(1)) });
  await env.DB.prepare("update flow_run set work_queue_id = ? where id = ?").bind(queue, run.id).run();
  const { body } = await api<Interval[]>("POST", "/flow_runs/history", {
    ...WINDOW,
    flow_runs: { tags: { all_: [tag] } },
    work_queues: { id: { any_: [queue] } },
  });
  expect(body[0]?.states).toMatchObject([{ count_runs: 1 }]);
});

test("the average lateness counts punctual runs as 0, and is null without runs", async () => {
  const tag = unique("late");
  const flow_runs = { tags: { all_: [tag] } };
  expect((await api("POST", "/flow_runs/lateness", { flow_runs })).body).toBeNull();
  await aFlowRun({ tags: [tag], state: scheduled(at(1)) });
  expect((await api("POST", "/flow_runs/lateness", { flow_runs })).body).toBe(0);
  await aFlowRun({ tags: [tag], state: scheduled(new Date(Date.now() - 100_000).toISOString()) });
  const { body } = await api<number>("POST", "/flow_runs/lateness", { flow_runs });
  expect(body).toBeGreaterThanOrEqual(50);
  expect(body).toBeLessThan(60);
});

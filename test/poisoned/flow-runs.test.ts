import { expect, test, vi } from "vitest";
import { Pool } from "../objects/work-pool/pool";
import { aDeployment, aFlow, aFlowRun } from "../support/world";
import { ask, BAD_JSON, BAD_TIMES, failingJobs, poisoned, type Question } from "./world";

vi.spyOn(console, "error").mockImplementation(() => {});

interface Scene {
  pool: Pool;
  served: string;
  /** Due runs of the pool, due runs of the served deployment, and RUNNING runs: the second of each pair is poisoned. */
  due: readonly [string, string];
  servedDue: readonly [string, string];
  running: readonly [string, string];
}

let scene: Scene | undefined;

async function made(): Promise<Scene> {
  if (scene) return scene;
  const pool = await Pool.made();
  const flow_id = await aFlow();
  const served = await aDeployment({ flow_id });
  const ofServed = async () => (await aFlowRun({ flow_id, deployment_id: served.id, state: { type: "SCHEDULED" } })).id;
  const running = async () => (await aFlowRun({ flow_id, state: { type: "RUNNING" } })).id;
  return (scene = {
    pool,
    served: served.id,
    due: [(await pool.run()).id, (await pool.run()).id],
    servedDue: [await ofServed(), await ofServed()],
    running: [await running(), await running()],
  });
}

const HISTORY = {
  history_start: "2000-01-01T00:00:00Z",
  history_end: "2100-01-01T00:00:00Z",
  history_interval_seconds: 86_400 * 365,
};

/** Requests that must answer with both runs, though one run is poisoned. */
function questions([healthy, bad]: readonly [string, string]): Question[] {
  const both = [healthy, bad];
  const flow_runs = { id: { any_: both } };
  return [
    { method: "POST", path: "/flow_runs/filter", body: {}, shows: both },
    ...["START_TIME_ASC", "EXPECTED_START_TIME_DESC", "NEXT_SCHEDULED_START_TIME_ASC", "NAME_ASC", "END_TIME_DESC"].map(
      (sort): Question => ({ method: "POST", path: "/flow_runs/filter", body: { sort, flow_runs }, shows: both }),
    ),
    { method: "POST", path: "/flow_runs/paginate", body: { flow_runs }, shows: both },
    { method: "POST", path: "/flow_runs/count", body: {}, shows: [] },
    { method: "POST", path: "/flow_runs/lateness", body: {}, shows: [] },
    { method: "POST", path: "/flow_runs/history", body: HISTORY, shows: [] },
    { method: "POST", path: "/flows/filter", body: {}, shows: [] },
    ...both.flatMap((id): Question[] => [
      { method: "GET", path: `/flow_runs/${id}`, shows: [id] },
      { method: "GET", path: `/flow_runs/${id}/why`, shows: [] },
      { method: "GET", path: `/flow_runs/${id}/graph`, shows: [] },
      { method: "GET", path: `/flow_runs/${id}/graph-v2`, shows: [] },
      { method: "GET", path: `/flow_run_states/?flow_run_id=${id}`, shows: [] },
    ]),
  ];
}

/** Polls, each of which must offer the valid run. */
function polls({ pool, served, due, servedDue }: Scene): Question[] {
  return [
    { method: "POST", path: `/work_pools/${pool.name}/get_scheduled_flow_runs`, body: {}, shows: [due[0]] },
    { method: "POST", path: `/work_queues/${pool.defaultQueueId}/get_runs`, body: {}, shows: [due[0]] },
    { method: "POST", path: `/work_pools/${pool.name}/concurrency_status`, body: {}, shows: [] },
    {
      method: "POST",
      path: "/deployments/get_scheduled_flow_runs",
      body: { deployment_ids: [served] },
      shows: [servedDue[0]],
    },
  ];
}

const RUNS = ["due", "servedDue", "running"] as const;
const TIMES = [
  "created",
  "updated",
  "state_timestamp",
  "expected_start_time",
  "next_scheduled_start_time",
  "start_time",
  "end_time",
  "total_run_time",
];
const timesOf = (time: number) => JSON.stringify({ scheduled_time: time, pause_timeout: time });
const JSON_COLUMNS = [
  "parameters",
  "job_variables",
  "context",
  "labels",
  "tags",
  "empirical_policy",
  "created_by",
  "state_ids",
];

async function wrong(which: (typeof RUNS)[number], table: string, column: string, value: unknown): Promise<string[]> {
  const scene = await made();
  const bad = scene[which][1];
  const place = { table, column, id: bad, ...(table === "flow_run_state" && { key: "flow_run_id" }) };
  return poisoned(place, value, async () => {
    await scene.pool.evict();
    return [...(await ask(questions(scene[which]))), ...(await ask(polls(scene))), ...(await failingJobs())];
  });
}

const cases = [
  ...RUNS.flatMap((which) => [
    ...TIMES.flatMap((column) => BAD_TIMES.map((time) => [which, "flow_run", column, String(time), time] as const)),
    ...BAD_TIMES.flatMap((time) => [
      [which, "flow_run_state", "timestamp", String(time), time] as const,
      [which, "flow_run_state", "state_details", `times of ${time}`, timesOf(time)] as const,
    ]),
  ]),
  ...Object.entries(BAD_JSON).flatMap(([name, text]) => [
    ...JSON_COLUMNS.map((column) => ["due", "flow_run", column, name, text] as const),
    ...["data", "state_details"].map((column) => ["due", "flow_run_state", column, name, text] as const),
  ]),
];

test.for(cases)(
  "lists, reads, polls and sweeps work beside a run (%s) with %s.%s that is %s",
  async ([which, table, column, , value]) => {
    expect(await wrong(which, table, column, value)).toEqual([]);
  },
);

test.for(BAD_TIMES)(
  "the polls of a pool work although a slot is reserved until the time %d in the pool's object",
  async (until) => {
    const scene = await made();
    await scene.pool.inObject((object) =>
      object.sql.exec(
        "insert or replace into reservation values (?, ?, ?)",
        scene.due[1],
        scene.pool.defaultQueueId,
        until,
      ),
    );
    await scene.pool.evict();
    expect(await ask(polls(scene))).toEqual([]);
    await scene.pool.do("check");
    await scene.pool.do("late");
    expect(await ask(polls(scene))).toEqual([]);
  },
);

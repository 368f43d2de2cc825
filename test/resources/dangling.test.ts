/**
 * A run without its flow, deployment, queue, pool, state or parent can be read, changed and deleted like any other
 * run.
 */
import { env } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { aFlow, aFlowRun, api, propose, unique, WORKSPACE } from "../support/world";

interface Shown {
  id: string;
  [field: string]: unknown;
}

async function aFullRun() {
  const pool = unique("pool");
  await api("POST", "/work_pools/", { name: pool, type: "process", concurrency_limit: 10 });
  const flow = await aFlow();
  const schedules = [{ schedule: { interval: 3600, anchor_date: "2020-01-01T00:00:00Z" } }];
  const body = { name: unique("deployment"), flow_id: flow, work_pool_name: pool, concurrency_limit: 5, schedules };
  const { body: deployment } = await api<Shown>("POST", "/deployments/", body);
  const parent = await aFlowRun({ state: { type: "RUNNING" } });
  const made = { flow_run_id: parent.id, task_key: "sub", dynamic_key: "0" };
  const { body: task } = await api<Shown>("POST", "/task_runs/", made);
  const state = { type: "SCHEDULED", state_details: { scheduled_time: "2026-01-01T00:00:00Z" } };
  const asked = { state, parent_task_run_id: task.id };
  const { body: run } = await api<Shown>("POST", `/deployments/${deployment.id}/create_flow_run`, asked);
  const own = { flow_run_id: run.id, task_key: "task", dynamic_key: "0" };
  const { body: child } = await api<Shown>("POST", "/task_runs/", own);
  return { pool, flow, deployment, parent, task, run, child };
}

type World = Awaited<ReturnType<typeof aFullRun>>;
const remove = (table: string, id: unknown) =>
  env.DB.prepare(`delete from ${table} where workspace_id = ? and id = ?`).bind(WORKSPACE, id).run();
const poolIdOf = async ({ pool }: World) =>
  env.DB.prepare("select id from work_pool where name = ?").bind(pool).first<string>("id");

const GONE: [string, (world: World) => Promise<unknown>][] = [
  ["flow", ({ flow }) => remove("flow", flow)],
  ["deployment", ({ deployment }) => remove("deployment", deployment.id)],
  [
    "schedules",
    ({ deployment }) =>
      env.DB.prepare("delete from deployment_schedule where deployment_id = ?").bind(deployment.id).run(),
  ],
  [
    "concurrency limit",
    ({ deployment }) =>
      env.DB.prepare("delete from concurrency_limit where name = ?").bind(`deployment:${deployment.id}`).run(),
  ],
  ["queue", ({ run }) => remove("work_queue", run["work_queue_id"])],
  ["pool", async (world) => remove("work_pool", await poolIdOf(world))],
  ["state", ({ run }) => env.DB.prepare("delete from flow_run_state where id = ?").bind(run["state_id"]).run()],
  ["parent's task run", ({ task }) => remove("task_run", task.id)],
  ["parent", ({ parent }) => remove("flow_run", parent.id)],
];

describe.for([
  ...GONE,
  [
    "whole surroundings",
    async (world: World) => {
      for (const [, takeAway] of GONE) await takeAway(world);
    },
  ] satisfies (typeof GONE)[number],
])("without its %s", ([, takeAway]) => {
  test("a run is in the answers of every route, becomes COMPLETED, and is deleted", async () => {
    const world = await aFullRun();
    const { run, child, parent, deployment, pool } = world;
    await takeAway(world);
    const only = { flow_runs: { id: { any_: [run.id] } } };
    const window = { history_start: "2025-12-31T00:00:00Z", history_end: "2026-01-02T00:00:00Z" };
    const asked = [
      api("GET", `/flow_runs/${run.id}`),
      api("GET", `/task_runs/${child.id}`),
      api("GET", `/flow_run_states/?flow_run_id=${run.id}`),
      api("GET", `/flow_runs/${run.id}/graph`),
      api("GET", `/flow_runs/${run.id}/graph-v2`),
      api("GET", `/flow_runs/${run.id}/why`),
      api("POST", "/flow_runs/paginate", only),
      api("POST", "/flow_runs/count", only),
      api("POST", "/flow_runs/lateness", only),
      api("POST", "/flow_runs/history", { ...only, ...window, history_interval_seconds: 3600 }),
      api("POST", "/task_runs/history", { ...only, ...window, history_interval_seconds: 3600 }),
      api("POST", "/deployments/get_scheduled_flow_runs", { deployment_ids: [deployment.id] }),
      api("POST", "/deployments/filter", {}),
      api("POST", "/work_queues/filter", {}),
    ];
    for (const { status } of await Promise.all(asked)) expect(status).toBe(200);
    for (const path of [
      `/work_pools/${pool}/get_scheduled_flow_runs`,
      `/work_pools/${pool}/concurrency_status`,
      `/work_queues/${String(run["work_queue_id"])}/get_runs`,
    ])
      expect((await api("POST", path, {})).status).toBeLessThan(500);
    for (const path of [
      `/flow_runs/${parent.id}/graph`,
      `/flow_runs/${parent.id}/graph-v2`,
      `/deployments/${deployment.id}`,
    ])
      expect((await api("GET", path)).status).toBeLessThan(500);
    const { body: graph } = await api<{ nodes?: [string, Shown][] }>("GET", `/flow_runs/${parent.id}/graph-v2`);
    for (const [, { label }] of graph.nodes ?? []) expect(label).toEqual(expect.any(String));
    const { body } = await api<Shown[]>("POST", "/flow_runs/filter", only);
    expect(body.map(({ id }) => id)).toEqual([run.id]);
    const tasks = await api<Shown[]>("POST", "/task_runs/filter", only);
    expect(tasks.body.map(({ id }) => id)).toEqual([child.id]);
    for (const type of ["PENDING", "RUNNING", "COMPLETED"])
      expect(await propose(run.id, { type }, true)).toMatchObject({ status: "ACCEPT", state: { type } });
    expect((await api("DELETE", `/flow_runs/${run.id}`)).status).toBe(204);
  });
});

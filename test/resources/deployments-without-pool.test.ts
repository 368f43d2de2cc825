/** `work_pool_name: null` removes a deployment from its pool. Without the field, nothing changes. */
import { describe, expect, test } from "vitest";
import { aFlow, api, type FlowRun, unique } from "../support/world";

interface Deployment {
  id: string;
  name: string;
  flow_id: string;
  work_pool_name: string | null;
  work_queue_name: string | null;
  work_queue_id: string | null;
}

const HOURLY = { interval: 3600, anchor_date: "2020-01-01T00:00:00Z" };

async function aDeploymentInPool() {
  const pool = unique("pool");
  await api("POST", "/work_pools/", { name: pool, type: "process" });
  const fields = { name: unique("deployment"), flow_id: await aFlow(), schedules: [{ schedule: HOURLY }] };
  const body = { ...fields, work_pool_name: pool, work_queue_name: "own" };
  const { body: deployment } = await api<Deployment>("POST", "/deployments/", body);
  expect(deployment).toMatchObject({ work_pool_name: pool, work_queue_name: "own" });
  return { pool, fields, deployment };
}

async function runsOf(id: string): Promise<FlowRun[]> {
  return (await api<FlowRun[]>("POST", "/flow_runs/filter", { flow_runs: { deployment_id: { any_: [id] } } })).body;
}

const NOWHERE = { work_pool_name: null, work_queue_name: null, work_queue_id: null };
const TOMORROW = new Date(Date.now() + 86_400_000).toISOString();

describe.for(["PATCH", "POST"] as const)("%s with null for the pool", (method) => {
  const send = ({ id }: Deployment, fields: Record<string, unknown>, more: Record<string, unknown>) =>
    method === "PATCH"
      ? api("PATCH", `/deployments/${id}`, more)
      : api("POST", "/deployments/", { ...fields, ...more });

  test("removes the deployment and the runs of its schedules from the pool", async () => {
    const { pool, fields, deployment } = await aDeploymentInPool();
    expect((await runsOf(deployment.id)).map((run) => run["work_pool_name"])).toContain(pool);
    expect((await send(deployment, fields, { work_pool_name: null })).status).toBeLessThan(300);
    expect((await api<Deployment>("GET", `/deployments/${deployment.id}`)).body).toMatchObject(NOWHERE);
    const runs = await runsOf(deployment.id);
    expect(runs.length).toBeGreaterThan(0);
    for (const run of runs) expect(run).toMatchObject(NOWHERE);
    const polled = await api<unknown[]>("POST", `/work_pools/${pool}/get_scheduled_flow_runs`, {
      scheduled_before: TOMORROW,
    });
    expect(polled.body).toEqual([]);
    const { body: run } = await api<FlowRun>("POST", `/deployments/${deployment.id}/create_flow_run`, {});
    expect(run).toMatchObject(NOWHERE);
    const served = await api<FlowRun[]>("POST", "/deployments/get_scheduled_flow_runs", {
      deployment_ids: [deployment.id],
    });
    expect(served.body.map(({ id }) => id)).toContain(run.id);
  });

  test("changes nothing if the pool is not in the body", async () => {
    const { pool, fields, deployment } = await aDeploymentInPool();
    expect((await send(deployment, fields, { description: "new" })).status).toBeLessThan(300);
    const { body } = await api<Deployment>("GET", `/deployments/${deployment.id}`);
    expect(body).toMatchObject({ work_pool_name: pool, work_queue_name: "own", description: "new" });
    expect(await send(deployment, fields, { work_queue_name: null })).toMatchObject({});
    expect((await api<Deployment>("GET", `/deployments/${deployment.id}`)).body.work_pool_name).toBe(pool);
  });
});

test("null for the pool of a deployment overrides the name of a queue", async () => {
  const { deployment } = await aDeploymentInPool();
  const body = { work_pool_name: null, work_queue_name: "other" };
  expect((await api("PATCH", `/deployments/${deployment.id}`, body)).status).toBe(204);
  expect((await api<Deployment>("GET", `/deployments/${deployment.id}`)).body).toMatchObject(NOWHERE);
});

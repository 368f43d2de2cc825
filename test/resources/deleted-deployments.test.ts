/** A run is not deleted with its deployment: the run keeps the deployment's id, and all routes work for the run. */
import { env } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { aDeployment, aFlowRun, api, aRunOf, type FlowRun, propose, unique, WORKSPACE } from "../support/world";

async function aPool(): Promise<string> {
  const name = unique("pool");
  expect((await api("POST", "/work_pools/", { name, type: "process" })).status).toBe(201);
  return name;
}

const idsOf = async (body: Record<string, unknown>) =>
  (await api<FlowRun[]>("POST", "/flow_runs/filter", body)).body.map(({ id }) => id);

const RETRYING = {
  type: "SCHEDULED",
  name: "AwaitingRetry",
  state_details: { scheduled_time: "2020-01-01T00:00:00Z" },
};

describe("a run of a deleted deployment", () => {
  test("keeps the deployment's id, and is found by it", async () => {
    const deployment = await aDeployment();
    const run = await aRunOf(deployment, { state: { type: "COMPLETED" } });
    await api("DELETE", `/deployments/${deployment.id}`);
    const { body } = await api("GET", `/flow_runs/${run.id}`);
    expect(body).toMatchObject({ deployment_id: deployment.id });
    expect(await idsOf({ flow_runs: { deployment_id: { any_: [deployment.id] } } })).toEqual([run.id]);
    expect(await idsOf({ deployments: { id: { any_: [deployment.id] } } })).toEqual([]);
    expect((await api("GET", `/flow_runs/${run.id}/graph-v2`)).status).toBe(200);
    const history = { history_start: "2020-01-01T00:00:00Z", history_end: new Date().toISOString() };
    const counted = await api("POST", "/flow_runs/history", {
      ...history,
      history_interval_seconds: 86_400 * 3_000,
      flow_runs: { id: { any_: [run.id] } },
    });
    expect(counted.status).toBe(200);
  });

  test("is offered to a worker at its retry, with the deployment's id, so that the worker can report it", async () => {
    const pool = await aPool();
    const deployment = await aDeployment({ work_pool_name: pool });
    const run = await aRunOf(deployment, { state: { type: "RUNNING" } });
    await api("DELETE", `/deployments/${deployment.id}`);
    expect(await propose(run.id, { type: "COMPLETED" })).toMatchObject({ status: "ACCEPT" });
    expect(await propose(run.id, RETRYING)).toMatchObject({ status: "ACCEPT" });
    const offered = await api<{ flow_run: FlowRun }[]>("POST", `/work_pools/${pool}/get_scheduled_flow_runs`, {});
    expect(offered.body.map(({ flow_run: { id, deployment_id } }) => ({ id, deployment_id }))).toEqual([
      { id: run.id, deployment_id: deployment.id },
    ]);
    const why = await api<{ reasons: { code: string }[]; next: { who: string } }>("GET", `/flow_runs/${run.id}/why`);
    expect(why.body.reasons.map(({ code }) => code)).toContain("deployment_deleted");
    expect(why.body.next.who).toBe("worker");
    expect(await propose(run.id, { type: "PENDING" })).toMatchObject({
      status: "ABORT",
      details: { reason: "Deployment not found." },
    });
    const message = `Deployment ${deployment.id} no longer exists, cancelled run.`;
    expect(await propose(run.id, { type: "CANCELLED", message }, true)).toMatchObject({ status: "ACCEPT" });
  });

  test("continues without the limit of its deployment, because the limit is deleted", async () => {
    const deployment = await aDeployment({ concurrency_limit: 1 });
    const run = await aFlowRun({ flow_id: deployment.flow_id, deployment_id: deployment.id });
    await propose(run.id, { type: "RUNNING" });
    await api("DELETE", `/deployments/${deployment.id}`);
    expect(await propose(run.id, { type: "FAILED" })).toMatchObject({ status: "ACCEPT" });
    expect(await propose(run.id, RETRYING)).toMatchObject({ status: "ACCEPT" });
    expect(await propose(run.id, { type: "RUNNING" })).toMatchObject({ status: "ACCEPT" });
    expect(await propose(run.id, { type: "COMPLETED" })).toMatchObject({ status: "ACCEPT" });
  });

  test("is cancelled with its children", async () => {
    const deployment = await aDeployment();
    const parent = await aFlowRun({ state: { type: "RUNNING" } });
    const made = { flow_run_id: parent.id, task_key: "sub", dynamic_key: "0" };
    const { body: task } = await api<{ id: string }>("POST", "/task_runs/", made);
    const fields = { flow_id: deployment.flow_id, deployment_id: deployment.id, parent_task_run_id: task.id };
    const child = await aFlowRun({ ...fields, state: { type: "RUNNING" } });
    await api("DELETE", `/deployments/${deployment.id}`);
    await propose(parent.id, { type: "CANCELLED" }, true);
    await expect
      .poll(async () => (await api<FlowRun>("GET", `/flow_runs/${child.id}`)).body.state_type)
      .toBe("CANCELLING");
  });
});

test("a deployment with more waiting runs than fit into a batch is deleted with all these runs", async () => {
  const deployment = await aDeployment();
  const other = await aDeployment();
  const kept = await aRunOf(other, { state: { type: "SCHEDULED" } });
  const run = await aRunOf(deployment, { state: { type: "SCHEDULED" } });
  const columns = (
    await env.DB.prepare("select name from pragma_table_info('flow_run') where name <> 'id'").all<{ name: string }>()
  ).results;
  const names = columns.map(({ name }) => `flow_run."${name}"`).join(", ");
  await env.DB.prepare(
    `insert into flow_run (id, ${names.replaceAll("flow_run.", "")}) select printf('00000000-0000-4000-9000-%012d', value), ${names}
      from flow_run, json_each(?) where workspace_id = ? and flow_run.id = ?`,
  )
    .bind(JSON.stringify(Array.from({ length: 1_700 }, (_, index) => index)), WORKSPACE, run.id)
    .run();
  expect((await api("DELETE", `/deployments/${deployment.id}`)).status).toBe(204);
  expect(await idsOf({ flow_runs: { deployment_id: { any_: [deployment.id, other.id] } } })).toEqual([kept.id]);
});

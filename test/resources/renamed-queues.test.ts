/** A work queue has one name: what is in it shows the name that it has now, and is found by that. */
import { expect, test } from "vitest";
import { aFlow, api, type FlowRun, unique } from "../support/world";

interface Named {
  id: string;
  name: string;
  work_queue_name: string | null;
}

async function aRenamedQueue() {
  const pool = unique("pool");
  await api("POST", "/work_pools/", { name: pool, type: "process" });
  const [before, after] = [unique("before"), unique("after")];
  const body = { name: unique("deployment"), flow_id: await aFlow(), work_pool_name: pool, work_queue_name: before };
  const { body: deployment } = await api<Named>("POST", "/deployments/", body);
  const { body: run } = await api<FlowRun>("POST", `/deployments/${deployment.id}/create_flow_run`, {});
  expect(run["work_queue_name"]).toBe(before);
  expect((await api("PATCH", `/work_pools/${pool}/queues/${before}`, { name: after })).status).toBe(204);
  return { pool, before, after, deployment, run };
}

const namesOf = (rows: Named[]) => rows.map((row) => row.work_queue_name);

test("runs and deployments of a renamed queue show its new name, and are found by it alone", async () => {
  const { pool, before, after, deployment, run } = await aRenamedQueue();
  expect((await api<Named>("GET", `/flow_runs/${run.id}`)).body.work_queue_name).toBe(after);
  expect((await api<Named>("GET", `/deployments/${deployment.id}`)).body.work_queue_name).toBe(after);
  const polled = await api<{ flow_run: Named }[]>("POST", `/work_pools/${pool}/get_scheduled_flow_runs`, {});
  expect(namesOf(polled.body.map(({ flow_run }) => flow_run))).toEqual([after]);
  for (const root of ["flow_runs", "deployments"]) {
    const found = async (name: string) =>
      namesOf((await api<Named[]>("POST", `/${root}/filter`, { [root]: { work_queue_name: { any_: [name] } } })).body);
    expect(await found(after)).toEqual([after]);
    expect(await found(before)).toEqual([]);
  }
});

test("a run made after the renaming shows the new name at once, and keeps a name when the queue is gone", async () => {
  const { pool, after, deployment } = await aRenamedQueue();
  const { body: run } = await api<FlowRun>("POST", `/deployments/${deployment.id}/create_flow_run`, {});
  expect(run["work_queue_name"]).toBe(after);
  expect((await api("DELETE", `/work_pools/${pool}/queues/${after}`)).status).toBe(204);
  const { body } = await api<Named & { work_queue_id: string | null }>("GET", `/flow_runs/${run.id}`);
  expect(body).toMatchObject({ work_queue_name: after, work_queue_id: null });
});

/** Runs and deployments of a work queue have the queue's current name, and are found by it. */
import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { aDeployment, api, aRunOf, type FlowRun, unique, WORKSPACE } from "../support/world";

interface Named {
  id: string;
  name: string;
  work_queue_name: string | null;
}

async function aRenamedQueue() {
  const pool = unique("pool");
  await api("POST", "/work_pools/", { name: pool, type: "process" });
  const [before, after] = [unique("before"), unique("after")];
  const deployment = await aDeployment({ work_pool_name: pool, work_queue_name: before });
  const run = await aRunOf(deployment);
  expect(run["work_queue_name"]).toBe(before);
  expect((await api("PATCH", `/work_pools/${pool}/queues/${before}`, { name: after })).status).toBe(204);
  return { pool, before, after, deployment, run };
}

const namesOf = (rows: Named[]) => rows.map((row) => row.work_queue_name);

test("runs and deployments of a renamed queue have its new name, and are found only by the new name", async () => {
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

test("a run that is created after the renaming has the new name, and keeps the name when the queue is deleted", async () => {
  const { pool, after, deployment } = await aRenamedQueue();
  const run = await aRunOf(deployment);
  expect(run["work_queue_name"]).toBe(after);
  expect((await api("DELETE", `/work_pools/${pool}/queues/${after}`)).status).toBe(204);
  const { body } = await api<Named & { work_queue_id: string | null }>("GET", `/flow_runs/${run.id}`);
  expect(body).toMatchObject({ work_queue_name: after, work_queue_id: null });
});

test.for([
  ["queue", (pool: string, queue: string) => `/work_pools/${pool}/queues/${queue}`],
  ["pool", (pool: string) => `/work_pools/${pool}`],
] as const)("a %s with more runs than fit into a batch is deleted, and its runs have no queue", async ([, pathOf]) => {
  const { pool, after, run } = await aRenamedQueue();
  const { results } = await env.DB.prepare("select name from pragma_table_info('flow_run')").all<{ name: string }>();
  const names = results.map(({ name }) => `"${name}"`).filter((name) => name !== '"id"');
  await env.DB.prepare(
    `insert into flow_run (id, ${names.join(", ")}) select substr(r.id, 1, 24) || printf('%012d', n.value), ${names.map((name) => `r.${name}`).join(", ")}
      from flow_run r, json_each(?) n where r.workspace_id = ? and r.id = ?`,
  )
    .bind(JSON.stringify(Array.from({ length: 4_100 }, (_, index) => index)), WORKSPACE, run.id)
    .run();
  expect((await api("DELETE", pathOf(pool, after))).status).toBe(204);
  const left = await env.DB.prepare("select count(*) as n from flow_run where work_queue_id = ?")
    .bind(run["work_queue_id"])
    .first<number>("n");
  expect(left).toBe(0);
  expect((await api<FlowRun>("GET", `/flow_runs/${run.id}`)).body["work_queue_id"]).toBe(null);
});

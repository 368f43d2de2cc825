/** Runs of a deployment that this isolate remembers. A run is never created from an old version of the deployment. */
import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { Pool } from "../objects/work-pool/pool";
import { costOf, TELL_COST } from "../support/cost";
import { aDeployment, aFlow, api, type Deployment, unique } from "../support/world";

const TEMPLATE = (properties: object) => ({
  job_configuration: { command: "run" },
  variables: { type: "object", properties },
});
const SCHEMA = { type: "object", properties: { n: { type: "integer" } } };

/** A deployment of a pool. A run of the deployment was just created. */
async function remembered(fields: Record<string, unknown> = {}): Promise<{ deployment: Deployment; pool: Pool }> {
  const pool = await Pool.made();
  const deployment = await aDeployment({
    flow_id: await aFlow(),
    work_pool_name: pool.name,
    parameters: { n: 1 },
    parameter_openapi_schema: SCHEMA,
    tags: ["old"],
    ...fields,
  });
  expect((await create(deployment)).status).toBe(201);
  return { deployment, pool };
}

const create = ({ id }: { id: string }, body: Record<string, unknown> = {}, headers?: Record<string, string>) =>
  api("POST", `/deployments/${id}/create_flow_run`, body, headers);

const patch = ({ id }: { id: string }, body: Record<string, unknown>) => api("PATCH", `/deployments/${id}`, body);

test("the second run of a deployment takes one round trip", async () => {
  const { deployment } = await remembered();
  const bodies = [{}, { parameters: { n: 2 } }, { work_queue_name: "default" }, { enforce_parameter_schema: true }];
  for (const body of bodies) {
    const { status, headers } = await create(deployment, body, TELL_COST);
    expect([status, costOf(headers, "round_trips"), costOf(headers, "queries")]).toEqual([201, 1, 3]);
  }
});

interface Case {
  change: string;
  fields?: Record<string, unknown>;
  make: (deployment: Deployment, pool: Pool) => Promise<unknown>;
  body?: Record<string, unknown>;
  /** The status of the answer, and the fields of its body. */
  status?: number;
  run?: Record<string, unknown>;
}

const CASES: Case[] = [
  { change: "parameters", make: (d) => patch(d, { parameters: { n: 5 } }), run: { parameters: { n: 5 } } },
  { change: "tags", make: (d) => patch(d, { tags: ["new"] }), run: { tags: ["new"] } },
  { change: "version", make: (d) => patch(d, { version: "2" }), run: { deployment_version: "2" } },
  {
    change: "a schema that no longer accepts the parameters",
    make: (d) => patch(d, { parameter_openapi_schema: { type: "object", required: ["m"] } }),
    body: { enforce_parameter_schema: true },
    status: 409,
  },
  {
    change: "a schema that now accepts the parameters",
    fields: { parameter_openapi_schema: { type: "object", required: ["m"] }, enforce_parameter_schema: false },
    make: (d) => patch(d, { parameter_openapi_schema: SCHEMA }),
    body: { enforce_parameter_schema: true },
    status: 201,
  },
  {
    change: "enforcement",
    fields: { enforce_parameter_schema: false },
    make: (d) => patch(d, { enforce_parameter_schema: true }),
    body: { parameters: { n: "x" } },
    status: 409,
  },
  {
    change: "another pool",
    make: async (d) => {
      await api("POST", "/work_pools/", { name: "another-pool", type: "process" });
      await patch(d, { work_pool_name: "another-pool" });
    },
    run: { work_pool_name: "another-pool" },
  },
  { change: "another queue", make: (d) => patch(d, { work_queue_name: "q" }), run: { work_queue_name: "q" } },
  {
    change: "the name of its queue",
    fields: { work_queue_name: "before" },
    make: (_d, pool) => api("PATCH", `/work_pools/${pool.name}/queues/before`, { name: "after" }),
    run: { work_queue_name: "after" },
  },
  {
    change: "its queue, which is deleted",
    fields: { work_queue_name: "gone" },
    make: (_d, pool) => api("DELETE", `/work_pools/${pool.name}/queues/gone`),
    run: { work_queue_id: null },
  },
  {
    change: "its pool, which is deleted",
    make: (_d, pool) => api("DELETE", `/work_pools/${pool.name}`),
    run: { work_queue_id: null, work_pool_name: null },
  },
  {
    change: "the template of its pool, which now refuses",
    make: (_d, pool) =>
      api("PATCH", `/work_pools/${pool.name}`, {
        base_job_template: TEMPLATE({ memory: { type: "integer" } }),
      }),
    body: { job_variables: { memory: "much" } },
    status: 422,
  },
  {
    change: "the template of its pool, which now allows",
    make: async (d, pool) => {
      const template = (type: string) => ({ base_job_template: TEMPLATE({ memory: { type } }) });
      await api("PATCH", `/work_pools/${pool.name}`, template("integer"));
      expect((await create(d, { job_variables: { memory: "much" } })).status).toBe(422);
      await api("PATCH", `/work_pools/${pool.name}`, template("string"));
    },
    body: { job_variables: { memory: "much" } },
    run: { job_variables: { memory: "much" } },
  },
  { change: "itself, deleted", make: ({ id }) => api("DELETE", `/deployments/${id}`), status: 404 },
  { change: "its flow, deleted", make: ({ flow_id }) => api("DELETE", `/flows/${flow_id}`), status: 404 },
];

test.each(CASES)("a run is created from the current deployment after a change of: $change", async (one) => {
  const { deployment, pool } = await remembered(one.fields);
  await one.make(deployment, pool);
  const { status, body } = await create(deployment, one.body);
  expect(status).toBe(one.status ?? 201);
  expect(body).toMatchObject(one.run ?? {});
  // Once more: the isolate now remembers the current deployment.
  expect((await create(deployment, one.body)).status).toBe(status);
});

test("a refusal creates no queue and no run", async () => {
  const { deployment, pool } = await remembered();
  await patch(deployment, { work_pool_name: null });
  const name = unique("queue");
  expect((await create(deployment, { work_queue_name: name })).status).toBe(400);
  const queues = await api<{ name: string }[]>("POST", `/work_pools/${pool.name}/queues/filter`, {});
  expect(queues.body.map((queue) => queue.name)).not.toContain(name);
});

test("an idempotency key gives the earlier run, also if the deployment is remembered", async () => {
  const { deployment } = await remembered();
  const first = await create(deployment, { idempotency_key: "k" });
  const second = await create(deployment, { idempotency_key: "k" });
  expect([first.status, second.status, second.body["id"]]).toEqual([201, 200, first.body["id"]]);
});

test.each(["deployment", "work_pool"])(
  "each change of a %s has a later time, for any time of the clock",
  async (table) => {
    const { deployment, pool } = await remembered();
    const [id, path] =
      table === "deployment" ? [deployment.id, `/deployments/${deployment.id}`] : [pool.id, `/work_pools/${pool.name}`];
    const ahead = 4_000_000_000_000_000;
    await env.DB.prepare(`update ${table} set updated = ? where id = ?`).bind(ahead, id).run();
    await api("PATCH", path, { description: "a" });
    await api("PATCH", path, { description: "b" });
    const row = await env.DB.prepare(`select updated from ${table} where id = ?`).bind(id).first<{ updated: number }>();
    expect(row?.updated).toBe(ahead + 2);
  },
);

/** Every field of the bodies that change something, and the answers after the change. */
import { aDeployment, aFlow, aFlowRun, aPool } from "../builders.ts";
import type { JsonObject } from "../json.ts";
import { pick, type Scenario, type World } from "../play.ts";

export const updates: Scenario = { name: "updates", play: playUpdates };

async function playUpdates(world: World): Promise<void> {
  const flow = await aFlow(world);
  await aPool(world, "pool");
  await aPool(world, "other");
  await deployment(world, flow);
  await flowRun(world, flow);
  await pool(world);
  await queue(world);
  await variable(world);
  await artifact(world);
}

/** Changes one thing by several bodies. After each change it reads the thing. */
async function change(world: World, what: string, path: string, bodies: Record<string, JsonObject>): Promise<void> {
  for (const [name, body] of Object.entries(bodies)) {
    const answer = await world.send(`${what}: ${name}`, `PATCH ${path}`, { body });
    if (answer.status < 300) await world.send(`${what}: after ${name}`, `GET ${path}`);
  }
}

async function deployment(world: World, flow: string): Promise<void> {
  const id = await aDeployment(world, "dep", { flow_id: flow });
  const cron = { cron: "5 4 * * *", timezone: "Europe/Berlin", day_or: false };
  await change(world, "deployment", `/deployments/${id}`, {
    "texts and lists": {
      version: "2",
      description: "Other.",
      path: "/srv/flows",
      entrypoint: "flows.py:main",
      tags: [world.name("tag")],
      pull_steps: [{ "prefect.step": { x: 1 } }],
      parameters: { n: 1 },
      job_variables: { image: "x" },
    },
    "a pool": { work_pool_name: world.name("pool") },
    "a pool and a queue": { work_pool_name: world.name("other"), work_queue_name: world.name("queue") },
    "an unknown pool": { work_pool_name: world.name("none") },
    "a limit": { concurrency_limit: 2, concurrency_options: { collision_strategy: "CANCEL_NEW" } },
    "a limit with grace": {
      concurrency_options: { collision_strategy: "ENQUEUE", grace_period_seconds: 120 },
    },
    "too short a grace": { concurrency_options: { collision_strategy: "ENQUEUE", grace_period_seconds: 1 } },
    "no limit": { concurrency_limit: null },
    "an unknown global limit": { global_concurrency_limit_id: world.id("unknown limit") },
    schedules: {
      schedules: [
        { schedule: cron, active: false, parameters: { n: 2 }, max_scheduled_runs: 5, slug: "early" },
        { schedule: { rrule: "FREQ=DAILY;COUNT=3", timezone: "UTC" }, active: false, slug: "thrice" },
      ],
    },
    "no schedules": { schedules: [] },
    "a schedule that is none": { schedules: [{ schedule: { cron: "soon" } }] },
    "a schema": {
      parameter_openapi_schema: { type: "object", properties: { n: { type: "integer" } }, required: ["n"] },
      enforce_parameter_schema: true,
    },
    "parameters that do not fit": { parameters: { n: "one" } },
    "no enforcement": { enforce_parameter_schema: false },
    "documents that are unknown": { storage_document_id: world.id("unknown document") },
    pause: { paused: true },
    "unknown field": { colour: 1 },
  });
}

async function flowRun(world: World, flow: string): Promise<void> {
  const id = await aFlowRun(world, "run", { flow_id: flow, state: { type: "PENDING" } });
  await change(world, "flow run", `/flow_runs/${id}`, {
    "texts and lists": {
      name: world.name("renamed"),
      flow_version: "9",
      parameters: { n: 3 },
      tags: [world.name("tag")],
      infrastructure_pid: "host:7",
      job_variables: { image: "y" },
    },
    policy: {
      empirical_policy: {
        retries: 2,
        retry_delay: 7,
        pause_keys: ["one"],
        resuming: false,
        retry_type: "in_process",
      },
    },
    "old policy": { empirical_policy: { max_retries: 4, retry_delay_seconds: 1.5 } },
    "an unknown type of retry": { empirical_policy: { retry_type: "by hand" } },
    "retries of text": { empirical_policy: { retries: "many" } },
    "no name": { name: null },
    "unknown field": { colour: 1 },
  });
}

async function pool(world: World): Promise<void> {
  const steps = {
    bundle_upload_step: { "prefect.upload": { bucket: "b" } },
    bundle_execution_step: { "prefect.execute": { bucket: "b" } },
  };
  await change(world, "pool", `/work_pools/${world.name("pool")}`, {
    "texts and numbers": { description: "Other.", is_paused: true, concurrency_limit: 3 },
    storage: { storage_configuration: steps },
    "storage with a document": {
      storage_configuration: { ...steps, default_result_storage_block_id: world.id("unknown document 2") },
    },
    "storage of text": { storage_configuration: "disk" },
    "no limit": { concurrency_limit: null },
    "negative limit": { concurrency_limit: -1 },
    "unknown field": { colour: 1 },
  });
  const status = `POST /work_pools/${world.name("pool")}/concurrency_status`;
  for (const body of [{}, { page: 1, limit: 1 }, { flow_run_limit: 1 }, { page: 0 }, { limit: 201 }]) {
    await world.send(`status of a pool: ${JSON.stringify(body)}`, status, { body });
  }
}

async function queue(world: World): Promise<void> {
  const path = `/work_pools/${world.name("pool")}/queues`;
  const filter = { tags: [world.name("tag")], deployment_ids: [world.id("deployment")] };
  const made = await world.send("queue with a filter", `POST ${path}`, {
    body: { name: world.name("queue"), filter, description: "d", priority: 4 },
  });
  await change(world, "queue of a pool", `${path}/${world.name("queue")}`, {
    "texts and numbers": { description: "Other.", is_paused: true, concurrency_limit: 3, priority: 1 },
    "a filter": { filter },
    "last polled": { last_polled: "2024-01-01T00:00:00Z" },
    "no limit": { concurrency_limit: null },
    "priority 0": { priority: 0 },
  });
  await change(world, "queue", `/work_queues/${made.id}`, {
    "texts and numbers": { name: world.name("renamed"), description: "e", is_paused: false, priority: 7 },
    "a filter": { filter },
    "last polled": { last_polled: "2024-01-02T00:00:00Z" },
    "a taken name": { name: "default" },
    "unknown field": { colour: 1 },
  });
  for (const body of [{}, { page: 1, limit: 1 }, { limit: -1 }]) {
    await world.send(`status of a queue: ${JSON.stringify(body)}`, `POST /work_queues/${made.id}/concurrency_status`, {
      body,
    });
  }
  await world.send("queues by id or name", `POST /work_pools/${world.name("pool")}/queues/filter`, {
    body: { work_queues: { operator: "or_", id: { any_: [made.id] }, name: { any_: ["default"] } } },
    view: pick("name", "priority"),
    unordered: true,
  });
}

async function variable(world: World): Promise<void> {
  const name = `v_${world.suffix}`;
  const made = await world.send("world: variable", "POST /variables/", { body: { name, value: 1 }, quiet: true });
  await change(world, "variable", `/variables/${made.id}`, {
    "a name": { name: `w_${world.suffix}` },
    "a value of any kind": { value: { a: [1, null, "x", 1.5, true] } },
    null: { value: null },
    tags: { tags: ["a", "b"] },
    "a name with capitals": { name: "Bad Name" },
    "unknown field": { colour: 1 },
  });
}

async function artifact(world: World): Promise<void> {
  const made = await world.send("world: artifact", "POST /artifacts/", {
    body: { key: world.name("key"), type: "markdown", data: "x" },
    quiet: true,
  });
  await change(world, "artifact", `/artifacts/${made.id}`, {
    "every field": { data: { rows: [1, 2] }, description: "Other.", metadata_: { a: "b" } },
    null: { data: null, description: null, metadata_: null },
    "metadata of numbers": { metadata_: { a: 1 } },
    "a key": { key: "other" },
  });
}

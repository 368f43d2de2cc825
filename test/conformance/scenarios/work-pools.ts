/** Work pools with their queues, workers and polls, and the older /work_queues. */
import { aFlow, aFlowRun, aPool, FUTURE } from "../builders.ts";
import type { Json, JsonObject } from "../json.ts";
import { at } from "../json.ts";
import { pick, type Scenario, type World } from "../play.ts";

export const workPools: Scenario = { name: "work-pools", play: playWorkPools };
export const poolQueues: Scenario = { name: "work-pool-queues", play: playQueues };
export const workers: Scenario = { name: "workers", play: playWorkers };
export const poolPolls: Scenario = { name: "work-pool-polls", play: playPolls };
export const workQueues: Scenario = { name: "work-queues", play: playWorkQueues };

const TEMPLATE: JsonObject = {
  job_configuration: { command: "{{ command }}", env: "{{ env }}" },
  variables: { type: "object", properties: { command: { type: "string", default: "ls" }, env: { type: "object" } } },
};

async function playWorkPools(world: World): Promise<void> {
  const post = "POST /work_pools/";
  const name = world.name("pool");
  await world.send("create bare", post, { body: { name } });
  await world.send("create again", post, { body: { name } });
  await world.send("create with all fields", post, {
    body: {
      name: world.name("full"),
      type: "process",
      description: "d",
      is_paused: true,
      concurrency_limit: 4,
      base_job_template: TEMPLATE,
      storage_configuration: { bundle_upload_step: { a: { b: 1 } } },
    },
  });
  await world.send("read", `GET /work_pools/${world.name("full")}`);
  await world.send("its default queue", `GET /work_pools/${world.name("full")}/queues/default`);
  const patch = `PATCH /work_pools/${world.name("full")}`;
  await world.send("change", patch, { body: { description: "e", is_paused: false, concurrency_limit: null } });
  await world.send("changed", `GET /work_pools/${world.name("full")}`);
  await world.send("pause", patch, { body: { is_paused: true } });
  await world.send("is paused", `GET /work_pools/${world.name("full")}`, { view: pick("is_paused", "status") });
  await world.send("resume", patch, { body: { is_paused: false } });
  await world.send("is resumed", `GET /work_pools/${world.name("full")}`, { view: pick("is_paused", "status") });
  await world.send("change template", patch, { body: { base_job_template: {} } });
  await world.send("change name", patch, { body: { name: "other" } });
  await world.send("change nothing", patch, { body: {} });
  await world.send("change unknown", `PATCH /work_pools/${world.name("none")}`, { body: { description: "x" } });
  await refusedPools(world);
  await filterPools(world);
  await world.send("delete", `DELETE /work_pools/${name}`);
  await world.send("delete again", `DELETE /work_pools/${name}`);
  await world.send("read deleted", `GET /work_pools/${name}`);
  await world.send("delete reserved", "DELETE /work_pools/prefect-mine");
  await world.send("change reserved", "PATCH /work_pools/prefect-mine", { body: { description: "x" } });
}

async function refusedPools(world: World): Promise<void> {
  const name = world.name("refused");
  const bodies: Record<string, JsonObject> = {
    "no name": {},
    "reserved name": { name: "Prefect Pool" },
    "reserved name in small letters": { name: "prefect-pool" },
    "name with a slash": { name: "a/b" },
    "empty name": { name: "" },
    "name of blanks": { name: "  " },
    "limit -1": { name, concurrency_limit: -1 },
    "template without variables": { name, base_job_template: { job_configuration: { a: 1 } } },
    "template without configuration": { name, base_job_template: { variables: {} } },
    "template with unknown placeholder": {
      name,
      base_job_template: {
        job_configuration: { command: "{{ nope }}" },
        variables: { type: "object", properties: {} },
      },
    },
    "unknown field": { name, colour: 1 },
    "unknown storage field": { name, storage_configuration: { colour: 1 } },
    "paused is a word": { name, is_paused: "maybe" },
  };
  for (const [title, body] of Object.entries(bodies)) {
    await world.send(`refused: ${title}`, "POST /work_pools/", { body });
  }
}

async function filterPools(world: World): Promise<void> {
  const ids = [await aPool(world, "f-a"), await aPool(world, "f-b", { type: "docker", concurrency_limit: 0 })];
  const mine = { id: { any_: ids } };
  const filters: Record<string, JsonObject> = {
    "by ids": mine,
    "by name": { name: { any_: [world.name("f-a")] } },
    "by type": { ...mine, type: { any_: ["docker"] } },
    either: { operator: "or_", name: { any_: [world.name("f-a")] }, id: { any_: ids } },
    none: { id: { any_: [] } },
    refused: { colour: {} },
  };
  for (const [name, work_pools] of Object.entries(filters)) {
    await world.send(`filter ${name}`, "POST /work_pools/filter", {
      body: { work_pools },
      view: pick("name"),
      unordered: true,
    });
    await world.send(`count ${name}`, "POST /work_pools/count", { body: { work_pools } });
  }
  await world.send("filter in full", "POST /work_pools/filter", {
    body: { work_pools: { name: { any_: [world.name("f-b")] } } },
  });
  await world.send("limit 201", "POST /work_pools/filter", { body: { work_pools: mine, limit: 201 } });
}

async function playQueues(world: World): Promise<void> {
  await aPool(world, "pool");
  const path = `/work_pools/${world.name("pool")}/queues`;
  await world.send("create", `POST ${path}`, { body: { name: "q-1" } });
  await world.send("create with all fields", `POST ${path}`, {
    body: { name: "q-2", description: "d", is_paused: true, concurrency_limit: 3, priority: 1 },
  });
  await world.send("create again", `POST ${path}`, { body: { name: "q-1" } });
  const listed = { body: {}, view: pick("name", "priority", "is_paused", "status", "concurrency_limit") };
  await world.send("all", `POST ${path}/filter`, listed);
  await world.send("read", `GET ${path}/q-2`);
  await world.send("change priority", `PATCH ${path}/q-1`, { body: { priority: 1 } });
  await world.send("after change of priority", `POST ${path}/filter`, listed);
  await world.send("change priority far", `PATCH ${path}/q-1`, { body: { priority: 50 } });
  await world.send("after far priority", `POST ${path}/filter`, listed);
  await world.send("rename", `PATCH ${path}/q-1`, { body: { name: "q-9" } });
  await world.send("rename to a taken name", `PATCH ${path}/q-9`, { body: { name: "default" } });
  await world.send("pause", `PATCH ${path}/q-9`, { body: { is_paused: true } });
  await world.send("is paused", `GET ${path}/q-9`);
  await world.send("resume and limit", `PATCH ${path}/q-9`, { body: { is_paused: false, concurrency_limit: 0 } });
  await world.send("is resumed", `GET ${path}/q-9`);
  await world.send("change only the description", `PATCH ${path}/q-2`, { body: { description: "x" } });
  await world.send("paused is as before", `GET ${path}/q-2`);
  await world.send("filter by name", `POST ${path}/filter`, {
    ...listed,
    body: { work_queues: { name: { any_: ["q-2"] } } },
  });
  await world.send("filter by start", `POST ${path}/filter`, {
    ...listed,
    body: { work_queues: { name: { startswith_: ["Q", "d"] } } },
  });
  await world.send("filter page", `POST ${path}/filter`, { ...listed, body: { limit: 1, offset: 1 } });
  await world.send("filter refused", `POST ${path}/filter`, { body: { work_queues: { colour: 1 } } });
  await world.send("filter with limit 201", `POST ${path}/filter`, { body: { limit: 201 } });
  await world.send("no name", `POST ${path}`, { body: {} });
  await world.send("priority 0", `POST ${path}`, { body: { name: "q-0", priority: 0 } });
  await world.send("name with a slash", `POST ${path}`, { body: { name: "a/b" } });
  await world.send("read unknown", `GET ${path}/none`);
  await world.send("read in unknown pool", `GET /work_pools/${world.name("none")}/queues/default`);
  await world.send("create in unknown pool", `POST /work_pools/${world.name("none")}/queues`, { body: { name: "q" } });
  await world.send("change unknown", `PATCH ${path}/none`, { body: { priority: 1 } });
  await world.send("delete", `DELETE ${path}/q-9`);
  await world.send("delete again", `DELETE ${path}/q-9`);
  await world.send("after delete", `POST ${path}/filter`, listed);
}

async function playWorkers(world: World): Promise<void> {
  await aPool(world, "pool");
  const path = `/work_pools/${world.name("pool")}`;
  const beat = `POST ${path}/workers/heartbeat`;
  await world.send("pool before any worker", `GET ${path}`, { view: pick("status") });
  await world.send("no workers", `POST ${path}/workers/filter`, { body: {} });
  await world.send("heartbeat", beat, { body: { name: "w-1", heartbeat_interval_seconds: 30 } });
  await world.send("heartbeat of another", beat, { body: { name: "w-2" } });
  await world.send("heartbeat again", beat, { body: { name: "w-1" } });
  await world.send("both workers", `POST ${path}/workers/filter`, { body: {}, unordered: true });
  await world.send("pool is ready", `GET ${path}`, { view: pick("status") });
  const filters: Record<string, JsonObject> = {
    online: { status: { any_: ["ONLINE"] } },
    offline: { status: { any_: ["OFFLINE"] } },
    "not online": { status: { not_any_: ["ONLINE"] } },
    "seen before the future": { last_heartbeat_time: { before_: FUTURE } },
    "seen after the future": { last_heartbeat_time: { after_: FUTURE } },
    refused: { status: { any_: ["ASLEEP"] } },
  };
  for (const [name, filter] of Object.entries(filters)) {
    await world.send(`workers ${name}`, `POST ${path}/workers/filter`, {
      body: { workers: filter },
      view: pick("name"),
      unordered: true,
    });
  }
  await world.send("heartbeat without name", beat, { body: {} });
  await world.send("heartbeat in unknown pool", `POST /work_pools/${world.name("none")}/workers/heartbeat`, {
    body: { name: "w" },
  });
  await world.send("workers of unknown pool", `POST /work_pools/${world.name("none")}/workers/filter`, { body: {} });
  await world.send("delete worker", `DELETE ${path}/workers/w-1`);
  await world.send("delete worker again", `DELETE ${path}/workers/w-1`);
  await world.send("one worker left", `POST ${path}/workers/filter`, { body: {}, view: pick("name") });
}

const namesOfPolled = (body: Json): Json =>
  Array.isArray(body) ? body.map((item) => at(item, "flow_run.name") ?? null) : body;

async function playPolls(world: World): Promise<void> {
  const flow = await aFlow(world);
  const name = world.name("pool");
  await aPool(world, "pool");
  for (const [queue, body] of Object.entries({ high: { priority: 1 }, low: { priority: 9 } })) {
    await world.send(`world: queue ${queue}`, `POST /work_pools/${name}/queues`, {
      body: { name: queue, ...body },
      quiet: true,
    });
  }
  const at = (day: number): JsonObject => ({
    type: "SCHEDULED",
    state_details: { scheduled_time: `2098-01-0${day}T00:00:00Z` },
  });
  const inQueue = (queue: string): JsonObject => ({ flow_id: flow, work_pool_name: name, work_queue_name: queue });
  const low = await aFlowRun(world, "low-1", { ...inQueue("low"), state: at(1) });
  await aFlowRun(world, "high-2", { ...inQueue("high"), state: at(2) });
  await aFlowRun(world, "high-3", { ...inQueue("high"), state: at(3) });
  await aFlowRun(world, "default-1", { flow_id: flow, work_pool_name: name, state: at(1) });
  const post = `POST /work_pools/${name}/get_scheduled_flow_runs`;
  const seen = { view: namesOfPolled };
  await world.send("poll", post, { body: {}, ...seen });
  await world.send("poll in full", post, { body: { limit: 1 } });
  await world.send("poll before", post, { body: { scheduled_before: "2098-01-02T00:00:00Z" }, ...seen });
  await world.send("poll after", post, { body: { scheduled_after: "2098-01-02T00:00:00Z" }, ...seen });
  await world.send("poll a queue", post, { body: { work_queue_names: ["low"] }, ...seen });
  await world.send("poll two queues", post, { body: { work_queue_names: ["low", "high"] }, ...seen });
  await world.send("poll an unknown queue", post, { body: { work_queue_names: ["none"] } });
  await world.send("poll an unknown pool", `POST /work_pools/${world.name("none")}/get_scheduled_flow_runs`, {
    body: {},
  });
  await world.send("poll with limit 2", post, { body: { limit: 2 }, ...seen });
  await world.send("pause a queue", `PATCH /work_pools/${name}/queues/high`, {
    body: { is_paused: true },
    quiet: true,
  });
  await world.send("poll with a paused queue", post, { body: {}, ...seen });
  await world.send("poll the paused queue", post, { body: { work_queue_names: ["high"] }, ...seen });
  await world.send("resume with limit 1", `PATCH /work_pools/${name}/queues/high`, {
    body: { is_paused: false, concurrency_limit: 1 },
    quiet: true,
  });
  await world.send("poll with a queue limit", post, { body: {}, ...seen });
  await world.send("limit of the pool", `PATCH /work_pools/${name}`, { body: { concurrency_limit: 2 }, quiet: true });
  await world.send("poll with a pool limit", post, { body: {}, ...seen });
  await world.send("a run takes a slot", `POST /flow_runs/${low}/set_state`, {
    body: { state: { type: "PENDING" } },
    quiet: true,
  });
  await world.send("poll with a slot taken", post, { body: {}, ...seen });
  await world.send("slots of the pool", `GET /work_pools/${name}`, { view: pick("active_slots", "concurrency_limit") });
  await world.send("pool slots", `POST /work_pools/${name}/concurrency_status`, { body: {} });
  await world.send("pool slots of unknown", `POST /work_pools/${world.name("none")}/concurrency_status`, { body: {} });
  await world.send("pause the pool", `PATCH /work_pools/${name}`, { body: { is_paused: true }, quiet: true });
  await world.send("poll a paused pool", post, { body: {}, ...seen });
}

async function playWorkQueues(world: World): Promise<void> {
  const post = "POST /work_queues/";
  const name = world.name("queue");
  // The priority in the shared default pool depends on the pool's other queues.
  const own = pick(
    "id",
    "name",
    "description",
    "is_paused",
    "concurrency_limit",
    "filter",
    "status",
    "work_pool_name",
    "last_polled",
  );
  const queue = await world.send("create", post, { body: { name }, view: own });
  await world.send("create again", post, { body: { name } });
  await world.send("create with all fields", post, {
    body: { name: world.name("full"), description: "d", is_paused: true, concurrency_limit: 2, priority: 5 },
    view: pick("name", "description", "is_paused", "concurrency_limit", "filter", "status", "work_pool_name"),
  });
  await world.send("create with filter", post, {
    body: { name: world.name("filter"), filter: { tags: [world.name("t")] } },
    view: pick("name", "filter"),
  });
  await world.send("read", `GET /work_queues/${queue.id}`, {
    view: pick("name", "is_paused", "status", "work_pool_name", "last_polled", "concurrency_limit"),
  });
  await world.send("read by name", `GET /work_queues/name/${name}`, { view: pick("id", "name") });
  await world.send("change", `PATCH /work_queues/${queue.id}`, { body: { description: "e", concurrency_limit: 1 } });
  await world.send("pause", `PATCH /work_queues/${queue.id}`, { body: { is_paused: true } });
  await world.send("changed", `GET /work_queues/${queue.id}`, {
    view: pick("name", "description", "is_paused", "status", "concurrency_limit"),
  });
  await world.send("resume", `PATCH /work_queues/${queue.id}`, { body: { is_paused: false } });
  await world.send("status", `GET /work_queues/${queue.id}/status`);
  await world.send("poll nothing", `POST /work_queues/${queue.id}/get_runs`, { body: {} });
  await world.send("slots", `POST /work_queues/${queue.id}/concurrency_status`, { body: {} });
  const run = await aFlowRun(world, "queued", {
    flow_id: await aFlow(world),
    work_pool_name: "default-agent-pool",
    work_queue_name: name,
    state: { type: "SCHEDULED", state_details: { scheduled_time: FUTURE } },
  });
  await world.send("poll a run", `POST /work_queues/${queue.id}/get_runs`, { body: {}, view: pick("name") });
  await world.send("poll before", `POST /work_queues/${queue.id}/get_runs`, {
    body: { scheduled_before: "2098-01-01T00:00:00Z" },
  });
  await world.send("a run takes the slot", `POST /flow_runs/${run}/set_state`, {
    body: { state: { type: "PENDING" } },
    quiet: true,
  });
  await world.send("slots taken", `POST /work_queues/${queue.id}/concurrency_status`, { body: {} });
  const filters: Record<string, JsonObject> = {
    "by id": { id: { any_: [queue.id] } },
    "by name": { name: { any_: [name, world.name("full")] } },
    "by start": { name: { startswith_: [`queue-${world.suffix}`] } },
    "by start in capitals": { name: { startswith_: [`QUEUE-${world.suffix}`] } },
    none: { id: { any_: [] } },
    refused: { colour: 1 },
  };
  for (const [title, work_queues] of Object.entries(filters)) {
    await world.send(`filter ${title}`, "POST /work_queues/filter", {
      body: { work_queues },
      view: pick("name"),
      unordered: true,
    });
  }
  await world.send("no name", post, { body: {} });
  await world.send("limit -1", post, { body: { name: world.name("bad"), concurrency_limit: -1 } });
  await world.send("unknown", `GET /work_queues/${world.id("unknown")}`);
  await world.send("unknown name", `GET /work_queues/name/${world.name("none")}`);
  await world.send("change unknown", `PATCH /work_queues/${world.id("unknown 2")}`, { body: { description: "x" } });
  await world.send("poll unknown", `POST /work_queues/${world.id("unknown 3")}/get_runs`, { body: {} });
  await world.send("status of unknown", `GET /work_queues/${world.id("unknown 4")}/status`);
  await world.send("slots of unknown", `POST /work_queues/${world.id("unknown 5")}/concurrency_status`, { body: {} });
  await world.send("delete unknown", `DELETE /work_queues/${world.id("unknown 6")}`);
  await world.send("delete", `DELETE /work_queues/${queue.id}`);
  await world.send("delete again", `DELETE /work_queues/${queue.id}`);
}

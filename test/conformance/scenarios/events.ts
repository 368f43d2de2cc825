/** Events: send, filter, page and count; and the events that the server emits. */
import { aFlow, aFlowRun } from "../builders.ts";
import { isObject, type Json, type JsonObject } from "../json.ts";
import { pick, type Answer, type Scenario, type World } from "../play.ts";

export const events: Scenario = { name: "events", play: playEvents };
export const lifecycleEvents: Scenario = { name: "lifecycle-events", play: playLifecycle };
export const resourceEvents: Scenario = { name: "resource-events", play: playResources };

/** The events of a page. */
function eventsOf(body: Json): Json[] {
  return isObject(body) && Array.isArray(body["events"]) ? body["events"] : [];
}

const names = (body: Json): Json => eventsOf(body).map((event) => pick("event", "payload.n")(event));
/** The original counts and lists in two steps. More events may arrive between the two. */
const hasEvents =
  (count: number) =>
  (answer: Answer): boolean =>
    eventsOf(answer.body).length >= count && Number(answer.at("total")) >= count;

async function playEvents(world: World): Promise<void> {
  const resource = world.name("thing");
  const other = world.name("other");
  const event = (n: number, more: JsonObject): JsonObject => ({
    id: world.id(`event ${n}`),
    occurred: world.time(n - 60),
    event: n % 2 === 0 ? `acme.even.${n}` : `acme.odd.${n}`,
    resource: { "prefect.resource.id": resource, kind: n > 3 ? "large" : "small", note: "a b" },
    related: [
      { "prefect.resource.id": `${other}.${n}`, "prefect.resource.role": n > 2 ? "owner" : "guest", colour: "red" },
    ],
    payload: { n, text: n === 4 ? "needle in a haystack" : "hay" },
    ...more,
  });
  const sent = [1, 2, 3, 4, 5].map((n) => event(n, {}));
  await world.send("send", "POST /events", { body: sent });
  const mine = { resource: { id: [resource] }, order: "ASC" };
  await world.send("until they are there", "POST /events/filter", {
    body: { filter: mine },
    until: hasEvents(5),
  });
  await world.send("send one again", "POST /events", { body: sent.slice(0, 1) });
  await world.send("send none", "POST /events", { body: [] });
  await refusedEvents(world, event);
  const filters: Record<string, JsonObject> = {
    "newest first": { ...mine, order: "DESC" },
    "by name": { ...mine, event: { name: ["acme.even.2", "acme.odd.3"] } },
    "by prefix": { ...mine, event: { prefix: ["acme.even"] } },
    "by not prefix": { ...mine, event: { exclude_prefix: ["acme.even"] } },
    "by not name": { ...mine, event: { exclude_name: ["acme.odd.1"] } },
    "by resource prefix": { resource: { id_prefix: [`thing-${world.suffix}`] }, order: "ASC" },
    "by resource label": { order: "ASC", resource: { labels: { "prefect.resource.id": resource, kind: "large" } } },
    "by resource label, any of": { ...mine, resource: { id: [resource], labels: { kind: ["small", "huge"] } } },
    "by resource label, wildcard": { ...mine, resource: { id: [resource], labels: { kind: "sm*" } } },
    "by resource label, not": { ...mine, resource: { id: [resource], labels: { kind: "!small" } } },
    distinct: { resource: { id: [resource], distinct: true } },
    "by related id": { order: "ASC", related: { id: [`${other}.1`, `${other}.4`] } },
    "by related role": { ...mine, related: { role: ["owner"] } },
    "by related label": { ...mine, related: { labels: { "prefect.resource.id": `${other}.2` } } },
    "by related id in role": {
      ...mine,
      related: {
        resources_in_roles: [
          [`${other}.5`, "owner"],
          [`${other}.1`, "owner"],
        ],
      },
    },
    "by two related filters": { ...mine, related: [{ role: ["owner"] }, { id: [`${other}.4`] }] },
    "by any resource": { order: "ASC", any_resource: { id: [`${other}.3`] } },
    "by any resource prefix": { order: "ASC", any_resource: { id_prefix: [`other-${world.suffix}.`] } },
    "by any resource label": { ...mine, any_resource: { labels: { colour: "red" } } },
    "by id": { ...mine, id: { id: [sent[1]?.["id"] ?? null] } },
    "by text": { ...mine, text: { query: "needle" } },
    "by text without": { ...mine, text: { query: "-needle" } },
    since: { ...mine, occurred: { since: sent[3]?.["occurred"] ?? null, until: "2099-01-01T00:00:00Z" } },
    until: { ...mine, occurred: { since: "2020-01-01T00:00:00Z", until: sent[2]?.["occurred"] ?? null } },
    nothing: { ...mine, event: { name: ["acme.none"] } },
  };
  for (const [name, filter] of Object.entries(filters)) {
    await world.send(`filter ${name}`, "POST /events/filter", { body: { filter }, view: names });
  }
  await pagesAndCounts(world, mine);
}

async function refusedEvents(world: World, event: (n: number, more: JsonObject) => JsonObject): Promise<void> {
  const bodies: Record<string, Json> = {
    "no list": event(9, {}),
    "no id": [{ ...event(10, {}), id: undefined }],
    "no event name": [{ ...event(11, {}), event: undefined }],
    "no resource": [{ ...event(12, {}), resource: undefined }],
    "resource without id": [event(13, { resource: { kind: "x" } })],
    "related without role": [event(14, { related: [{ "prefect.resource.id": "x" }] })],
    "related without id": [event(15, { related: [{ "prefect.resource.role": "x" }] })],
    "no time": [{ ...event(16, {}), occurred: undefined }],
    "unknown field": [
      event(17, { colour: "red", resource: { "prefect.resource.id": world.name("extra") }, related: [] }),
    ],
    "label that is a number": [event(18, { resource: { "prefect.resource.id": world.name("num"), n: 5 } })],
    "name too long": [event(19, { event: "x".repeat(1025) })],
  };
  for (const [name, body] of Object.entries(bodies)) await world.send(`refused: ${name}`, "POST /events", { body });
  await world.send("filter refused: unknown criterion", "POST /events/filter", { body: { filter: { colour: 1 } } });
  await world.send("filter refused: limit 51", "POST /events/filter", { body: { limit: 51 } });
  await world.send("filter refused: order", "POST /events/filter", { body: { filter: { order: "SIDEWAYS" } } });
  await world.send("bad page token", "GET /events/filter/next?page-token=nonsense");
  await world.send("no page token", "GET /events/filter/next");
}

async function pagesAndCounts(world: World, filter: JsonObject): Promise<void> {
  const first = await world.send("first page", "POST /events/filter", { body: { filter, limit: 2 } });
  const next = first.text("next_page").replace(/^.*\/api/, "");
  const second = await world.send("second page", `GET ${next}`);
  const last = second.text("next_page").replace(/^.*\/api/, "");
  await world.send("last page", `GET ${last}`);
  await world.send("page of none", "POST /events/filter", {
    body: { filter, limit: 0 },
    view: pick("total", "events"),
  });
  const window = { ...filter, occurred: { since: "2098-01-01T00:00:00Z", until: "2098-01-03T00:00:00Z" } };
  await world.send("count by day, none", "POST /events/count-by/day", { body: { filter: window } });
  await world.send("count by time, too many", "POST /events/count-by/time", {
    body: { filter: window, time_unit: "minute", time_interval: 1 },
  });
  const counts = pick("value", "label", "count");
  await world.send("count by event", "POST /events/count-by/event", {
    body: { filter },
    view: counts,
    unordered: true,
  });
  await world.send("count by resource", "POST /events/count-by/resource", { body: { filter }, view: counts });
  await world.send("count by mood", "POST /events/count-by/mood", { body: { filter } });
  await world.send("count without filter", "POST /events/count-by/day", { body: {}, view: () => null });
}

/** A run of a deployment changes its state several times, and each change emits an event. */
async function playLifecycle(world: World): Promise<void> {
  const flow = await aFlow(world);
  const pool = await world.send("pool", "POST /work_pools/", {
    body: { name: world.name("pool"), type: "process" },
    quiet: true,
  });
  const deployment = await world.send("deployment", "POST /deployments/", {
    body: { name: world.name("dep"), flow_id: flow, work_pool_name: world.name("pool"), tags: ["deployed"] },
    quiet: true,
  });
  const run = await world.send("run", `POST /deployments/${deployment.id}/create_flow_run`, {
    body: { name: world.name("run"), tags: ["own", "another"], empirical_policy: { retries: 1, retry_delay: 0 } },
    headers: { "prefect-automation-id": world.id("automation"), "prefect-automation-name": "YXV0bw==" },
    quiet: true,
  });
  const moves: [string, JsonObject][] = [
    ["Pending", { type: "PENDING" }],
    ["Submitting", { type: "PENDING", name: "Submitting" }],
    ["Running", { type: "RUNNING", message: "off we go" }],
    ["Paused", { type: "PAUSED", state_details: { pause_key: "k" } }],
    ["Running again", { type: "RUNNING" }],
    ["Failed, to be retried", { type: "FAILED" }],
    ["Retrying", { type: "RUNNING", name: "Retrying" }],
    ["Cancelling", { type: "CANCELLING" }],
    ["Cancelled", { type: "CANCELLED" }],
  ];
  const path = `POST /flow_runs/${run.id}/set_state`;
  for (const [name, state] of moves) {
    await world.send(name, path, { body: { state }, view: pick("status", "state.id", "state.name") });
  }
  await world.send("refused: Crashed", path, { body: { state: { type: "CRASHED" } }, view: pick("status") });
  const filter = {
    resource: { id: [`prefect.flow-run.${run.id}`] },
    event: { prefix: ["prefect.flow-run."] },
    order: "ASC",
  };
  await world.send("events of the run", "POST /events/filter", { body: { filter }, until: hasEvents(10) });
  await world.send("events that name the pool", "POST /events/filter", {
    body: {
      filter: {
        any_resource: { id: [`prefect.work-pool.${pool.id}`] },
        event: { name: ["prefect.flow-run.Cancelling"] },
      },
    },
    until: hasEvents(1),
    view: names,
  });
  await plainRuns(world, flow);
  await subflow(world, flow);
}

async function plainRuns(world: World, flow: string): Promise<void> {
  const births: Record<string, JsonObject> = {
    pending: { type: "PENDING" },
    running: { type: "RUNNING" },
    completed: { type: "COMPLETED", message: "x".repeat(20) },
  };
  for (const [name, state] of Object.entries(births)) {
    const run = await aFlowRun(world, name, { flow_id: flow, state });
    await world.send(`${name}: forced`, `POST /flow_runs/${run}/set_state`, {
      body: { state: { type: "FAILED", message: "by force" }, force: true },
      quiet: true,
    });
    await world.send(`${name}: events`, "POST /events/filter", {
      body: { filter: { resource: { id: [`prefect.flow-run.${run}`] }, order: "ASC" } },
      until: hasEvents(2),
    });
  }
}

async function subflow(world: World, flow: string): Promise<void> {
  const parent = await aFlowRun(world, "parent", { flow_id: flow, state: { type: "RUNNING" } });
  const task = await world.send("task run of the parent", "POST /task_runs/", {
    body: { name: world.name("wrap"), task_key: "t", dynamic_key: "0", flow_run_id: parent, tags: ["tt"] },
    quiet: true,
  });
  await world.send("task run is Running", `POST /task_runs/${task.id}/set_state`, {
    body: { state: { type: "RUNNING" } },
    quiet: true,
  });
  const child = await aFlowRun(world, "child", { flow_id: flow, parent_task_run_id: task.id, tags: ["own"] });
  await world.send("child is Running", `POST /flow_runs/${child}/set_state`, {
    body: { state: { type: "RUNNING" } },
    quiet: true,
  });
  await world.send("events of the child", "POST /events/filter", {
    body: { filter: { resource: { id: [`prefect.flow-run.${child}`] }, order: "ASC" } },
    until: hasEvents(2),
  });
  await world.send("task run is Completed", `POST /task_runs/${task.id}/set_state`, {
    body: { state: { type: "COMPLETED" } },
    quiet: true,
  });
}

/** Events of resources that are not runs. */
async function playResources(world: World): Promise<void> {
  const flow = await aFlow(world);
  const variable = await world.send("variable", "POST /variables/", {
    body: { name: world.name("var"), value: 1 },
    quiet: true,
  });
  await world.send("variable changes", `PATCH /variables/${variable.id}`, { body: { value: 2 }, quiet: true });
  await world.send("variable goes", `DELETE /variables/${variable.id}`, { quiet: true });
  const pool = await world.send("pool", "POST /work_pools/", {
    body: { name: world.name("pool"), type: "process" },
    quiet: true,
  });
  const path = `/work_pools/${world.name("pool")}`;
  await world.send("pool gets a worker", `POST ${path}/workers/heartbeat`, { body: { name: "w" }, quiet: true });
  await world.send("pool is paused", `PATCH ${path}`, { body: { is_paused: true }, quiet: true });
  await world.send("pool is resumed", `PATCH ${path}`, { body: { is_paused: false, description: "d" }, quiet: true });
  const deployment = await world.send("deployment", "POST /deployments/", {
    body: { name: world.name("dep"), flow_id: flow, work_pool_name: world.name("pool"), tags: ["t"] },
    quiet: true,
  });
  await world.send("deployment changes", `PATCH /deployments/${deployment.id}`, {
    body: { description: "d" },
    quiet: true,
  });
  await world.send("deployment goes", `DELETE /deployments/${deployment.id}`, { quiet: true });
  const seen: [string, string, number][] = [
    ["variable", `prefect.variable.${variable.id}`, 3],
    ["pool", `prefect.work-pool.${pool.id}`, 4],
    ["deployment", `prefect.deployment.${deployment.id}`, 3],
    ["flow", `prefect.flow.${flow}`, 1],
  ];
  for (const [name, id, count] of seen) {
    await world.send(`events of the ${name}`, "POST /events/filter", {
      body: { filter: { resource: { id: [id] }, order: "ASC" } },
      until: hasEvents(count),
    });
  }
}

/** Deployments: upsert, change, schedules, runs made from them, polls, filters, paging, deletion. */
import { aDeployment, aFlow, aFlowRun, aPool, filterBy, FUTURE } from "../builders.ts";
import type { JsonObject } from "../json.ts";
import { pick, type Scenario, type World } from "../play.ts";

export const deployments: Scenario = { name: "deployments", play: playDeployments };
export const deploymentSchedules: Scenario = { name: "deployment-schedules", play: playSchedules };
export const deploymentRuns: Scenario = { name: "deployment-runs", play: playRuns };
export const deploymentFilters: Scenario = { name: "deployment-filters", play: playFilters };

const POST = "POST /deployments/";
const SCHEMA: JsonObject = {
  type: "object",
  title: "Parameters",
  properties: { x: { type: "integer", title: "x", position: 0 }, who: { type: "string", default: "you" } },
  required: ["x"],
};
const DAILY: JsonObject = { interval: 86_400, anchor_date: "2098-01-01T00:00:00Z", timezone: "UTC" };

async function playDeployments(world: World): Promise<void> {
  const flowId = await aFlow(world);
  await aPool(world, "pool", {
    base_job_template: {
      job_configuration: { command: "{{ command }}" },
      variables: { type: "object", properties: { command: { type: "string" }, size: { type: "integer" } } },
    },
  });
  await creation(world, flowId);
  await changes(world, flowId);
  await pausing(world, flowId);
  await refusals(world, flowId);
}

async function creation(world: World, flowId: string): Promise<void> {
  await world.send("create bare", POST, { body: { name: world.name("bare"), flow_id: flowId } });
  const full: JsonObject = {
    name: world.name("full"),
    flow_id: flowId,
    paused: true,
    concurrency_limit: 3,
    concurrency_options: { collision_strategy: "CANCEL_NEW", grace_period_seconds: 90 },
    enforce_parameter_schema: true,
    parameter_openapi_schema: SCHEMA,
    parameters: { x: 1 },
    tags: ["a", "b"],
    labels: { team: "x" },
    pull_steps: [{ "prefect.deployments.steps.set_working_directory": { directory: "/" } }],
    work_pool_name: world.name("pool"),
    work_queue_name: world.name("queue"),
    description: "d",
    path: "/p",
    version: "1",
    entrypoint: "f.py:f",
    job_variables: { command: "ls" },
    version_info: { type: "git", version: "abc", branch: "main" },
    schedules: [{ schedule: DAILY, active: false, slug: "daily", parameters: { x: 2 }, max_scheduled_runs: 4 }],
  };
  const made = await world.send("create with all fields", POST, { body: full });
  await world.send("read", `GET /deployments/${made.id}`);
  await world.send("read by name", `GET /deployments/name/${world.name("flow")}/${world.name("full")}`);
  await world.send("its queue was made", `GET /work_pools/${world.name("pool")}/queues/${world.name("queue")}`, {
    view: pick("name", "priority", "status"),
  });
  await world.send("create again with less", POST, {
    body: { name: world.name("full"), flow_id: flowId, tags: ["c"] },
  });
  await world.send("create in an unknown pool", POST, {
    body: { name: world.name("p"), flow_id: flowId, work_pool_name: world.name("nopool") },
  });
  await world.send("create in the default queue", POST, {
    body: { name: world.name("dq"), flow_id: flowId, work_pool_name: world.name("pool") },
    view: pick("work_pool_name", "work_queue_name", "status"),
  });
  await world.send("create with job variables of the wrong type", POST, {
    body: { name: world.name("jv"), flow_id: flowId, work_pool_name: world.name("pool"), job_variables: { size: "x" } },
  });
  await world.send("read unknown name", `GET /deployments/name/${world.name("flow")}/${world.name("never")}`);
}

async function changes(world: World, flowId: string): Promise<void> {
  const made = await aDeployment(world, "change", {
    flow_id: flowId,
    tags: ["a"],
    parameters: { x: 1 },
    parameter_openapi_schema: SCHEMA,
    work_pool_name: world.name("pool"),
    description: "first",
    version: "1",
  });
  const patch = `PATCH /deployments/${made}`;
  await world.send("change some", patch, { body: { description: "second", tags: ["b"], version: "2" } });
  await world.send("changed some", `GET /deployments/${made}`);
  await world.send("change parameters", patch, { body: { parameters: { x: 5 } } });
  await world.send("change parameters to the wrong type", patch, { body: { parameters: { x: "five" } } });
  await world.send("change parameters to fewer", patch, { body: { parameters: {} } });
  await world.send("change the schema", patch, {
    body: { parameter_openapi_schema: { type: "object", properties: {} } },
  });
  await world.send("enforce no more", patch, { body: { enforce_parameter_schema: false } });
  await world.send("set a limit", patch, {
    body: { concurrency_limit: 2, concurrency_options: { collision_strategy: "ENQUEUE" } },
  });
  await world.send("limit is set", `GET /deployments/${made}`, {
    view: pick(
      "concurrency_limit",
      "concurrency_options",
      "global_concurrency_limit.limit",
      "global_concurrency_limit.name",
    ),
  });
  await world.send("take the limit away", patch, { body: { concurrency_limit: null } });
  await world.send("limit is gone", `GET /deployments/${made}`, {
    view: pick("concurrency_limit", "concurrency_options", "global_concurrency_limit"),
  });
  await world.send("change queue", patch, { body: { work_queue_name: world.name("fresh") } });
  await world.send("change job variables", patch, { body: { job_variables: { command: "pwd" } } });
  await world.send("pause by change", patch, { body: { paused: true } });
  await world.send("changed all", `GET /deployments/${made}`);
  await world.send("two limits at once", patch, {
    body: { concurrency_limit: 2, global_concurrency_limit_id: world.id("gcl") },
  });
  await world.send("unknown global limit", patch, { body: { global_concurrency_limit_id: world.id("gcl2") } });
  await world.send("change flow", patch, { body: { flow_id: flowId } });
  await world.send("change unknown", `PATCH /deployments/${world.id("unknown")}`, { body: { tags: [] } });
}

async function pausing(world: World, flowId: string): Promise<void> {
  const made = await aDeployment(world, "pausing", { flow_id: flowId });
  await world.send("pause", `POST /deployments/${made}/pause_deployment`);
  await world.send("is paused", `GET /deployments/${made}`, { view: pick("paused", "status") });
  await world.send("resume", `POST /deployments/${made}/resume_deployment`);
  await world.send("is resumed", `GET /deployments/${made}`, { view: pick("paused", "status") });
  await world.send("pause unknown", `POST /deployments/${world.id("unknown p")}/pause_deployment`);
  await world.send("resume unknown", `POST /deployments/${world.id("unknown r")}/resume_deployment`);
  await world.send("queue check", `GET /deployments/${made}/work_queue_check`);
  await world.send("queue check of unknown", `GET /deployments/${world.id("unknown q")}/work_queue_check`);
  await world.send("delete", `DELETE /deployments/${made}`);
  await world.send("delete again", `DELETE /deployments/${made}`);
}

async function refusals(world: World, flowId: string): Promise<void> {
  const named = { name: world.name("refused"), flow_id: flowId };
  const bodies: Record<string, JsonObject> = {
    "no name": { flow_id: flowId },
    "no flow": { name: "x" },
    "unknown flow": { ...named, flow_id: world.id("unknown flow") },
    "limit 0": { ...named, concurrency_limit: 0 },
    "limit -1": { ...named, concurrency_limit: -1 },
    "grace period too short": {
      ...named,
      concurrency_options: { collision_strategy: "ENQUEUE", grace_period_seconds: 5 },
    },
    "unknown strategy": { ...named, concurrency_options: { collision_strategy: "FIGHT" } },
    "two limits": { ...named, concurrency_limit: 1, global_concurrency_limit_id: world.id("gcl3") },
    "parameters against the schema": { ...named, parameter_openapi_schema: SCHEMA, parameters: { x: "one" } },
    "schema is no schema": { ...named, parameter_openapi_schema: { type: "thing" } },
    "unknown field": { ...named, colour: "red" },
    "old field": { ...named, schedule: DAILY, is_schedule_active: true },
    "schedule without rule": { ...named, schedules: [{ active: true }] },
    "schedule with an unknown rule": { ...named, schedules: [{ schedule: { weekly: true } }] },
    "cron is no cron": { ...named, schedules: [{ schedule: { cron: "every day" } }] },
    "cron in no time zone": { ...named, schedules: [{ schedule: { cron: "0 0 * * *", timezone: "Mars" } }] },
    "interval 0": { ...named, schedules: [{ schedule: { interval: 0 } }] },
    "rrule is no rrule": { ...named, schedules: [{ schedule: { rrule: "FREQ=NEVER" } }] },
    "too many runs a schedule": { ...named, schedules: [{ schedule: DAILY, max_scheduled_runs: 10_000 }] },
    "same slug twice": {
      ...named,
      schedules: [
        { schedule: DAILY, slug: "s" },
        { schedule: DAILY, slug: "s" },
      ],
    },
  };
  for (const [name, body] of Object.entries(bodies)) {
    await world.send(`refused: ${name}`, POST, { body, view: pick("id", "name") });
  }
}

async function playSchedules(world: World): Promise<void> {
  const flowId = await aFlow(world);
  const made = await aDeployment(world, "dep", { flow_id: flowId, paused: true });
  const path = `/deployments/${made}/schedules`;
  await world.send("none at first", `GET ${path}`);
  const created = await world.send("add two", `POST ${path}`, {
    body: [
      { schedule: DAILY, active: true, slug: "daily", parameters: { a: 1 } },
      {
        schedule: { cron: "0 9 * * 1", timezone: "Europe/Berlin", day_or: false },
        active: false,
        max_scheduled_runs: 2,
      },
    ],
  });
  await world.send("add a recurrence rule", `POST ${path}`, {
    body: [{ schedule: { rrule: "DTSTART:20980101T000000\nFREQ=WEEKLY;COUNT=3", timezone: "UTC" }, active: false }],
  });
  await world.send("all three", `GET ${path}`, { unordered: true });
  await world.send("same slug again", `POST ${path}`, { body: [{ schedule: DAILY, slug: "daily" }] });
  const first = `${path}/${created.text("0.id")}`;
  await world.send("change active", `PATCH ${first}`, { body: { active: false } });
  await world.send("change rule", `PATCH ${first}`, { body: { schedule: { interval: 3600, anchor_date: FUTURE } } });
  await world.send("change slug and parameters", `PATCH ${first}`, { body: { slug: "hourly", parameters: { b: 2 } } });
  await world.send("changed", `GET ${path}`, { unordered: true });
  await world.send("delete one", `DELETE ${path}/${created.text("1.id")}`);
  await world.send("delete it again", `DELETE ${path}/${created.text("1.id")}`);
  await world.send("change unknown", `PATCH ${path}/${world.id("unknown")}`, { body: { active: true } });
  await world.send("add none", `POST ${path}`, { body: [] });
  await world.send("add to unknown", `POST /deployments/${world.id("unknown 2")}/schedules`, { body: [] });
  await world.send("of unknown", `GET /deployments/${world.id("unknown 3")}/schedules`);
  await world.send("add an object", `POST ${path}`, { body: { schedule: DAILY } });
  await slugs(world, flowId);
  await dates(world, flowId);
}

async function slugs(world: World, flowId: string): Promise<void> {
  const schedules = [
    { schedule: DAILY, slug: "one", active: true },
    { schedule: DAILY, slug: "two", active: true },
  ];
  const made = await aDeployment(world, "slugs", { flow_id: flowId, paused: true, schedules });
  const patch = `PATCH /deployments/${made}`;
  const seen = { view: pick("slug", "active", "schedule.interval", "parameters"), unordered: true };
  await world.send("change by slug", patch, { body: { schedules: [{ slug: "one", active: false }] } });
  await world.send("after change by slug", `GET /deployments/${made}/schedules`, seen);
  await world.send("new slug without rule", patch, { body: { schedules: [{ slug: "three", active: false }] } });
  await world.send("new slug", patch, {
    body: { schedules: [{ slug: "three", schedule: { interval: 60, anchor_date: FUTURE } }] },
  });
  await world.send("after new slug", `GET /deployments/${made}/schedules`, seen);
  await world.send("without slugs", patch, { body: { schedules: [{ schedule: DAILY }] } });
  await world.send("rename a slug", patch, { body: { schedules: [{ slug: "uno", replaces: "one" }] } });
  await world.send("rename to a taken slug", patch, { body: { schedules: [{ slug: "two", replaces: "uno" }] } });
  await world.send("two renames of one", patch, {
    body: {
      schedules: [
        { slug: "a", replaces: "two" },
        { slug: "b", replaces: "two" },
      ],
    },
  });
  await world.send("rename of nothing", patch, { body: { schedules: [{ slug: "x", replaces: "never" }] } });
  await world.send("after renames", `GET /deployments/${made}/schedules`, seen);
  await world.send("no schedules in the change", patch, { body: { tags: ["t"] } });
  await world.send("still the same schedules", `GET /deployments/${made}/schedules`, seen);
  await world.send("posted again without schedules", POST, {
    body: { name: world.name("slugs"), flow_id: flowId, paused: true },
    quiet: true,
  });
  await world.send("no schedules are left", `GET /deployments/${made}/schedules`);
}

/** The runs of schedules in the far future. Each run is created once. */
async function dates(world: World, flowId: string): Promise<void> {
  const rules: Record<string, JsonObject> = {
    interval: { interval: 3600, anchor_date: "2097-01-01T00:30:00Z" },
    "interval over the change of clocks": {
      interval: 86_400,
      anchor_date: "2029-01-12T02:30:00-05:00",
      timezone: "America/New_York",
    },
    cron: { cron: "0 9 * * 1-5", timezone: "UTC" },
    "cron over the change of clocks": { cron: "30 2 * * *", timezone: "America/New_York" },
    "cron day or": { cron: "0 0 13 * 5", timezone: "UTC", day_or: true },
    "cron day and": { cron: "0 0 13 * 5", timezone: "UTC", day_or: false },
    rrule: { rrule: "DTSTART:20980101T000000\nRRULE:FREQ=MONTHLY;BYDAY=-1FR;COUNT=12", timezone: "Europe/Berlin" },
  };
  const windows: Record<string, [string, string]> = {
    "interval over the change of clocks": ["2029-03-08T00:00:00Z", "2029-03-14T00:00:00Z"],
    "cron over the change of clocks": ["2029-03-08T00:00:00Z", "2029-03-14T00:00:00Z"],
    "cron day or": ["2098-01-01T00:00:00Z", "2098-03-01T00:00:00Z"],
    "cron day and": ["2098-01-01T00:00:00Z", "2099-06-01T00:00:00Z"],
    rrule: ["2098-01-01T00:00:00Z", "2098-12-31T00:00:00Z"],
  };
  for (const [name, schedule] of Object.entries(rules)) {
    const made = await aDeployment(world, name.replaceAll(" ", ""), {
      flow_id: flowId,
      paused: true,
      tags: ["dated"],
      schedules: [{ schedule, active: true, parameters: { by: name } }],
    });
    const [start, end] = windows[name] ?? ["2098-01-01T00:00:00Z", "2098-01-08T00:00:00Z"];
    const body = { start_time: start, end_time: end, min_runs: 12, max_runs: 12 };
    const runs = { body: { flow_runs: { deployment_id: { any_: [made] } }, sort: "EXPECTED_START_TIME_ASC" } };
    const seen = {
      view: pick("expected_start_time", "auto_scheduled", "parameters", "tags", "state_name", "created_by.type"),
    };
    await world.send(`${name}: schedule`, `POST /deployments/${made}/schedule`, { body });
    await world.send(`${name}: runs`, "POST /flow_runs/filter", { ...runs, ...seen });
    await world.send(`${name}: schedule again`, `POST /deployments/${made}/schedule`, { body });
    await world.send(`${name}: as many runs`, "POST /flow_runs/count", { body: { flow_runs: runs.body.flow_runs } });
  }
  await world.send("schedule unknown", `POST /deployments/${world.id("unknown 9")}/schedule`, { body: {} });
}

async function playRuns(world: World): Promise<void> {
  const flowId = await aFlow(world);
  await aPool(world, "pool");
  const made = await aDeployment(world, "dep", {
    flow_id: flowId,
    work_pool_name: world.name("pool"),
    tags: ["d"],
    parameters: { x: 1, who: "a" },
    parameter_openapi_schema: SCHEMA,
    job_variables: { env: { A: "1" } },
    version: "7",
    labels: { from: "deployment" },
  });
  const post = `POST /deployments/${made}/create_flow_run`;
  const run = await world.send("create with nothing", post, { body: {} });
  await world.send("read it", `GET /flow_runs/${run.id}`);
  await world.send("create with all fields", post, {
    body: {
      name: world.name("full"),
      parameters: { who: "b" },
      tags: ["r"],
      context: { a: 1 },
      idempotency_key: world.name("key"),
      labels: { from: "run" },
      state: { type: "SCHEDULED", state_details: { scheduled_time: FUTURE } },
      job_variables: { env: { B: "2" } },
      empirical_policy: { retries: 1 },
      work_queue_name: world.name("fresh"),
    },
  });
  await world.send("same key", post, { body: { idempotency_key: world.name("key") }, view: pick("id", "name") });
  await world.send("wrong parameter", post, { body: { parameters: { x: "one" } } });
  await world.send("extra parameter", post, { body: { parameters: { z: 1 } }, view: pick("parameters") });
  await world.send("wrong parameter, not enforced", post, {
    body: { parameters: { x: "one" }, enforce_parameter_schema: false },
    view: pick("parameters"),
  });
  await world.send("json parameter", post, {
    body: { parameters: { x: { __prefect_kind: "json", value: "42" } } },
    view: pick("parameters"),
  });
  await world.send("broken json parameter", post, {
    body: { parameters: { x: { __prefect_kind: "json", value: "{" } } },
  });
  await world.send("variable parameter", post, {
    body: { parameters: { who: { __prefect_kind: "workspace_variable", variable_name: world.name("novar") } } },
  });
  await world.send("running at once", post, {
    body: { state: { type: "RUNNING" } },
    view: pick("state_type", "run_count"),
  });
  await world.send("unknown deployment", `POST /deployments/${world.id("unknown")}/create_flow_run`, { body: {} });
  await world.send("unknown field", post, { body: { flow_id: flowId } });
  await world.send("no body", post);
  const bare = await aDeployment(world, "bare", { flow_id: flowId });
  await world.send("queue without a pool", `POST /deployments/${bare}/create_flow_run`, {
    body: { work_queue_name: "q" },
  });
  await bulk(world, made);
  await polls(world, flowId);
}

async function bulk(world: World, deployment: string): Promise<void> {
  const post = `POST /deployments/${deployment}/create_flow_run/bulk`;
  await world.send("bulk", post, { body: [{ name: world.name("b1") }, { parameters: { x: "one" } }, { tags: ["t"] }] });
  await world.send("bulk of none", post, { body: [] });
  await world.send("bulk of 101", post, { body: Array.from({ length: 101 }, () => ({})) });
  await world.send("bulk of no list", post, { body: {} });
  await world.send("bulk of unknown", `POST /deployments/${world.id("unknown b")}/create_flow_run/bulk`, { body: [] });
}

async function polls(world: World, flowId: string): Promise<void> {
  const made = await aDeployment(world, "polled", { flow_id: flowId });
  const at = (time: string): JsonObject => ({ type: "SCHEDULED", state_details: { scheduled_time: time } });
  for (const [name, state] of Object.entries({
    "due-1": at("2098-01-01T00:00:00Z"),
    "due-2": at("2098-01-03T00:00:00Z"),
    "due-3": at("2098-01-02T00:00:00Z"),
    pend: { type: "PENDING" },
  })) {
    await aFlowRun(world, name, { flow_id: flowId, deployment_id: made, state });
  }
  const post = "POST /deployments/get_scheduled_flow_runs";
  const body = { deployment_ids: [made] };
  await world.send("poll", post, { body, view: pick("name") });
  await world.send("poll before", post, {
    body: { ...body, scheduled_before: "2098-01-02T00:00:00Z" },
    view: pick("name"),
  });
  await world.send("poll before now", post, { body: { ...body, scheduled_before: "2026-01-01T00:00:00Z" } });
  await world.send("poll one", post, { body: { ...body, limit: 1 } });
  await world.send("poll for nobody", post, { body: { deployment_ids: [] } });
  await world.send("poll for unknown", post, { body: { deployment_ids: [world.id("unknown p")] } });
  await world.send("poll without ids", post, { body: {} });
  await world.send("poll with limit 201", post, { body: { ...body, limit: 201 } });
}

async function playFilters(world: World): Promise<void> {
  const flow = await aFlow(world);
  const other = await aFlow(world, "otherflow");
  await aPool(world, "pool");
  const [x, y] = [world.name("x"), world.name("y")];
  const ids = [
    await aDeployment(world, "d-a", { flow_id: flow, tags: [x, y], paused: true, concurrency_limit: 2 }),
    await aDeployment(world, "d-b", {
      flow_id: flow,
      tags: [x],
      work_pool_name: world.name("pool"),
      concurrency_limit: 5,
    }),
    await aDeployment(world, "d-c", { flow_id: other, tags: [] }),
  ];
  const [a = "", b = ""] = ids;
  await aFlowRun(world, "run", { flow_id: flow, deployment_id: b, state: { type: "PENDING" } });
  const mine = { id: { any_: ids } };
  const deployments = mine;
  await filterBy(
    world,
    { path: "/deployments", key: "deployments", sort: "NAME_ASC" },
    {
      "by ids": mine,
      "by not ids": { id: { any_: ids, not_any_: [a] } },
      "by names": { name: { any_: [world.name("d-a"), world.name("d-c")] } },
      "by name like": { name: { like_: `d-%${world.suffix}` } },
      "by flow or deployment name": { ...mine, flow_or_deployment_name: { like_: "otherflow" } },
      "by flow or deployment name, deployment": { flow_or_deployment_name: { like_: world.name("d-b") } },
      paused: { ...mine, paused: { eq_: true } },
      "not paused": { ...mine, paused: { eq_: false } },
      "by all tags": { tags: { all_: [x, y] } },
      "by any tag": { tags: { any_: [y] } },
      "without tags": { ...mine, tags: { is_null_: true } },
      "by queue": { ...mine, work_queue_name: { any_: ["default"] } },
      "limit at least": { ...mine, concurrency_limit: { ge_: 3 } },
      "limit at most": { ...mine, concurrency_limit: { le_: 3 } },
      "without limit": { ...mine, concurrency_limit: { is_null_: true } },
      "with limit": { ...mine, concurrency_limit: { is_null_: false } },
      either: { operator: "or_", id: { any_: [a] }, name: { any_: [world.name("d-c")] } },
      "by flow": { $body: { deployments, flows: { id: { any_: [other] } } } },
      "by flow run": { $body: { deployments, flow_runs: { state: { type: { any_: ["PENDING"] } } } } },
      "by pool": { $body: { work_pools: { name: { any_: [world.name("pool")] } } } },
      "by pool queue": { $body: { deployments, work_pool_queues: { name: { any_: ["default"] } } } },
      "by task run": { $body: { deployments, task_runs: { name: { any_: [world.name("none")] } } } },
    },
  );
  for (const sort of ["NAME_ASC", "NAME_DESC", "CREATED_DESC", "UPDATED_DESC", "SIDEWAYS"]) {
    await world.send(`sort ${sort}`, "POST /deployments/filter", { body: { deployments, sort }, view: pick("name") });
  }
  const body = { deployments, sort: "NAME_ASC" };
  await world.send("limit and offset", "POST /deployments/filter", { body: { ...body, limit: 1, offset: 1 } });
  await world.send("page 1", "POST /deployments/paginate", { body: { ...body, limit: 2 }, view: pick("name") });
  await world.send("page 2", "POST /deployments/paginate", {
    body: { ...body, limit: 2, page: 2 },
    view: pick("name"),
  });
  await world.send("refused criterion", "POST /deployments/filter", { body: { deployments: { colour: {} } } });
  await world.send("bulk delete", "POST /deployments/bulk_delete", { body: { deployments: { id: { any_: [a] } } } });
  await world.send("left", "POST /deployments/count", { body: { deployments } });
  await world.send("bulk delete 51", "POST /deployments/bulk_delete", { body: { deployments, limit: 51 } });
}

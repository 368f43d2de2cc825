/** Every criterion, join and sort of the flow run filter, over a few runs. */
import { aDeployment, aFlow, aFlowRun, aPool, aTaskRun, filterBy, FUTURE } from "../builders.ts";
import type { JsonObject } from "../json.ts";
import { pick, type Scenario, type World } from "../play.ts";

export const flowRunFilters: Scenario = { name: "flow-run-filters", play: playFilters };

interface Made {
  flow: string;
  otherFlow: string;
  deployment: string;
  parentTask: string;
  runs: Record<string, string>;
}

function scheduled(time: string, name?: string): JsonObject {
  return { type: "SCHEDULED", ...(name === undefined ? {} : { name }), state_details: { scheduled_time: time } };
}

async function makeWorld(world: World): Promise<Made> {
  const flow = await aFlow(world);
  const otherFlow = await aFlow(world, "flow2");
  await aPool(world, "pool");
  await world.send("world: queue", `POST /work_pools/${world.name("pool")}/queues`, {
    body: { name: world.name("queue") },
    quiet: true,
  });
  const deployment = await aDeployment(world, "dep", {
    flow_id: flow,
    work_pool_name: world.name("pool"),
    work_queue_name: world.name("queue"),
    tags: [world.name("deployed")],
    paused: true,
  });
  const x = world.name("x");
  const y = world.name("y");
  const runs: Record<string, string> = {};
  const bodies: Record<string, JsonObject> = {
    "r-a": { flow_id: flow, tags: [x, y], state: scheduled("2098-01-01T00:00:00Z"), flow_version: "1" },
    "r-b": { flow_id: flow, tags: [x], state: scheduled("2098-01-02T00:00:00Z", "Resuming"), flow_version: "2" },
    "r-c": { flow_id: flow, tags: [], state: { type: "PENDING" }, idempotency_key: world.name("key-c") },
    "r-d": { flow_id: otherFlow, tags: [y], state: { type: "RUNNING" }, idempotency_key: world.name("key-d") },
    "r-e": { flow_id: otherFlow, state: { type: "PENDING" } },
  };
  for (const [name, body] of Object.entries(bodies)) runs[name] = await aFlowRun(world, name, body);
  for (const type of ["RUNNING", "COMPLETED"]) {
    await world.send(`world: r-e ${type}`, `POST /flow_runs/${runs["r-e"]}/set_state`, {
      body: { state: { type } },
      quiet: true,
    });
  }
  runs["r-h"] = await aFlowRun(world, "r-h", { flow_id: flow, state: { type: "RUNNING" } });
  await world.send("world: r-h ends", `POST /flow_runs/${runs["r-h"]}/set_state`, {
    body: { state: { type: "FAILED" } },
    quiet: true,
  });
  const parentTask = await aTaskRun(world, "t-parent", { flow_run_id: runs["r-d"] ?? "", tags: [x] });
  runs["r-f"] = await aFlowRun(world, "r-f", { flow_id: otherFlow, parent_task_run_id: parentTask });
  const deployed = await world.send("world: deployed run", `POST /deployments/${deployment}/create_flow_run`, {
    body: { name: world.name("r-g"), state: scheduled(FUTURE) },
    headers: { "prefect-automation-id": world.id("automation"), "prefect-automation-name": "YXV0bw==" },
    quiet: true,
  });
  runs["r-g"] = deployed.id;
  return { flow, otherFlow, deployment, parentTask, runs };
}

async function playFilters(world: World): Promise<void> {
  const made = await makeWorld(world);
  const root = { path: "/flow_runs", key: "flow_runs", sort: "NAME_ASC" };
  const mine = { id: { any_: Object.values(made.runs) } };
  await filterBy(world, root, ownCriteria(world, made, mine));
  await filterBy(world, root, joinedCriteria(world, made, mine));
  const sorts = [
    "ID_DESC",
    "START_TIME_ASC",
    "START_TIME_DESC",
    "EXPECTED_START_TIME_ASC",
    "EXPECTED_START_TIME_DESC",
    "NAME_ASC",
    "NAME_DESC",
    "NEXT_SCHEDULED_START_TIME_ASC",
    "END_TIME_DESC",
    "SIDEWAYS",
  ];
  // The order of rows without the time of the sort is not defined, so at most one such row takes part.
  const someOf = (...wanted: string[]): JsonObject => ({ id: { any_: wanted.map((name) => made.runs[name] ?? "") } });
  const some: Record<string, JsonObject> = {
    NEXT_SCHEDULED_START_TIME_ASC: someOf("r-g", "r-c", "r-b", "r-a"),
    END_TIME_DESC: someOf("r-h", "r-c", "r-e"),
  };
  for (const sort of sorts) {
    await world.send(`sort ${sort}`, "POST /flow_runs/filter", {
      body: { flow_runs: some[sort] ?? mine, sort },
      view: pick("name"),
      // Ids are random, so only the set of rows is the same in every play.
      unordered: sort === "ID_DESC",
    });
  }
  await refused(world);
}

function ownCriteria(world: World, made: Made, mine: JsonObject): Record<string, JsonObject> {
  const x = world.name("x");
  const y = world.name("y");
  const both = [world.name("r-a"), world.name("r-b")];
  const date = "2098-01-01T12:00:00Z";
  const past = "2020-01-01T00:00:00Z";
  return {
    "by ids": mine,
    "by no ids": { id: { any_: [] } },
    "by not ids": { id: { any_: Object.values(made.runs), not_any_: [made.runs["r-a"] ?? ""] } },
    "by names": { name: { any_: both } },
    "by name like": { name: { like_: `r-%${world.suffix}` } },
    "by name like, capitals": { name: { like_: world.name("R-A") } },
    "by all tags": { tags: { all_: [x, y] } },
    "by any tag": { tags: { any_: [x, y] } },
    "by all and any tags": { tags: { all_: [x], any_: [y] } },
    "by all or any tags": { ...mine, tags: { operator: "or_", all_: [x, y], any_: [y] } },
    "without tags": { ...mine, tags: { is_null_: true } },
    "with tags": { ...mine, tags: { is_null_: false } },
    "by deployment": { deployment_id: { any_: [made.deployment] } },
    "without deployment": { ...mine, deployment_id: { is_null_: true } },
    "with deployment": { ...mine, deployment_id: { is_null_: false } },
    "deployment or none": { ...mine, deployment_id: { operator: "or_", any_: [made.deployment], is_null_: true } },
    "by queue name": { work_queue_name: { any_: [world.name("queue")] } },
    "without queue name": { ...mine, work_queue_name: { is_null_: true } },
    "with queue name": { ...mine, work_queue_name: { is_null_: false } },
    "by state type": { ...mine, state: { type: { any_: ["SCHEDULED", "RUNNING"] } } },
    "by no state type": { ...mine, state: { type: { any_: [] } } },
    "by not state type": { ...mine, state: { type: { not_any_: ["SCHEDULED"] } } },
    "by state name": { ...mine, state: { name: { any_: ["Resuming", "Completed"] } } },
    "by not state name": { ...mine, state: { name: { not_any_: ["Scheduled"] } } },
    "by state type or name": {
      ...mine,
      state: { operator: "or_", type: { any_: ["RUNNING"] }, name: { any_: ["Resuming"] } },
    },
    "by state type and name": { ...mine, state: { type: { any_: ["SCHEDULED"] }, name: { any_: ["Resuming"] } } },
    "by flow version": { ...mine, flow_version: { any_: ["1", "3"] } },
    "started before the future": { ...mine, start_time: { before_: FUTURE } },
    "started after the past": { ...mine, start_time: { after_: past } },
    "started after the future": { ...mine, start_time: { after_: FUTURE } },
    "not started": { ...mine, start_time: { is_null_: true } },
    started: { ...mine, start_time: { is_null_: false } },
    "ended before the future": { ...mine, end_time: { before_: FUTURE } },
    "ended after the past": { ...mine, end_time: { after_: past } },
    "not ended": { ...mine, end_time: { is_null_: true } },
    ended: { ...mine, end_time: { is_null_: false } },
    "expected before": { ...mine, expected_start_time: { before_: date } },
    "expected after": { ...mine, expected_start_time: { after_: date } },
    "expected in between": { ...mine, expected_start_time: { after_: "2098-01-01T00:00:00Z", before_: date } },
    "expected exactly": { ...mine, expected_start_time: { after_: date, before_: date } },
    "next scheduled before": { ...mine, next_scheduled_start_time: { before_: date } },
    "next scheduled after": { ...mine, next_scheduled_start_time: { after_: date } },
    "by parent flow run": { parent_flow_run_id: { any_: [made.runs["r-d"] ?? ""] } },
    "by parent task run": { parent_task_run_id: { any_: [made.parentTask] } },
    "without parent task run": { ...mine, parent_task_run_id: { is_null_: true } },
    "with parent task run": { ...mine, parent_task_run_id: { is_null_: false } },
    "by idempotency key": { idempotency_key: { any_: [world.name("key-c"), world.name("key-d")] } },
    "by not idempotency key": { ...mine, idempotency_key: { not_any_: [world.name("key-c")] } },
    "by creator type": { ...mine, created_by: { type_: ["AUTOMATION"] } },
    "by creator id": { ...mine, created_by: { id_: [world.id("nobody")] } },
    "without creator": { ...mine, created_by: { is_null_: true } },
    "with creator": { ...mine, created_by: { is_null_: false } },
    "either of two": { operator: "or_", name: { any_: [world.name("r-a")] }, tags: { all_: [y] } },
    "times with another offset": { ...mine, expected_start_time: { before_: "2098-01-01T14:00:00+02:00" } },
    "times as dates": { ...mine, expected_start_time: { before_: "2098-01-02" } },
  };
}

function joinedCriteria(world: World, made: Made, mine: JsonObject): Record<string, JsonObject> {
  const flow_runs = mine;
  return {
    "by flow": { $body: { flow_runs, flows: { id: { any_: [made.flow] } } } },
    "by flow name": { $body: { flow_runs, flows: { name: { any_: [world.name("flow2")] } } } },
    "by flow without tags": { $body: { flow_runs, flows: { tags: { is_null_: true } } } },
    "by task run": { $body: { flow_runs, task_runs: { name: { any_: [world.name("t-parent")] } } } },
    "by task run tags": { $body: { flow_runs, task_runs: { tags: { all_: [world.name("x")] } } } },
    "by deployment name": { $body: { flow_runs, deployments: { name: { any_: [world.name("dep")] } } } },
    "by deployment tag": { $body: { deployments: { tags: { all_: [world.name("deployed")] } } } },
    "by paused deployment": { $body: { flow_runs, deployments: { paused: { eq_: true } } } },
    "by work pool": { $body: { work_pools: { name: { any_: [world.name("pool")] } } } },
    "by work pool type": { $body: { flow_runs, work_pools: { type: { any_: ["process"] } } } },
    "by work queue": { $body: { work_pool_queues: { name: { any_: [world.name("queue")] } } } },
    "by work queue prefix": { $body: { flow_runs, work_pool_queues: { name: { startswith_: ["queue"] } } } },
    "by flow and deployment": {
      $body: { flow_runs, flows: { id: { any_: [made.flow] } }, deployments: { id: { any_: [made.deployment] } } },
    },
    "by empty filters": { $body: { flow_runs, flows: {}, deployments: null } },
    "by flow with other flow's task": {
      $body: { flow_runs, flows: { id: { any_: [made.flow] } }, task_runs: { id: { any_: [made.parentTask] } } },
    },
  };
}

async function refused(world: World): Promise<void> {
  const bodies: Record<string, JsonObject> = {
    "unknown criterion": { flow_runs: { colour: {} } },
    "unknown operator": { flow_runs: { name: { almost_: "x" } } },
    "ids are no uuids": { flow_runs: { id: { any_: ["x"] } } },
    "ids are no list": { flow_runs: { id: { any_: "x" } } },
    "unknown state type": { flow_runs: { state: { type: { any_: ["SLEEPING"] } } } },
    "time is no time": { flow_runs: { start_time: { before_: "soon" } } },
    "is_null_ is no boolean": { flow_runs: { start_time: { is_null_: "perhaps" } } },
    "bad offset": { offset: -1 },
    "limit 201": { limit: 201 },
    "limit -1": { limit: -1 },
    "limit x": { limit: "x" },
    "filter is a list": { flow_runs: [] },
  };
  for (const [name, body] of Object.entries(bodies)) {
    await world.send(`refused: ${name}`, "POST /flow_runs/filter", { body });
  }
}

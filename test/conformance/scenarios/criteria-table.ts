/** The criteria of each resource, with values that hold for some rows of the scenario "criteria" and not for others. */
import type { JsonObject } from "../json.ts";
import type { World } from "../play.ts";

/** The ids of the scenario's rows. */
export interface Ids {
  flow: string;
  alone: string;
  pool: string;
  deployment: string;
  run: string;
  task: string;
  child: string;
}

type Criteria = Record<string, JsonObject>;

/** The criteria by the key of their resource in a body. */
export function criteriaOf(world: World, ids: Ids): Record<string, Criteria> {
  return {
    flows: flows(world, ids),
    flow_runs: flowRuns(world, ids),
    task_runs: taskRuns(world, ids),
    deployments: deployments(world, ids),
    work_pools: {
      id: { id: { any_: [ids.pool] } },
      name: { name: { any_: [world.name("pool")] } },
      "name and type": { name: { any_: [world.name("pool")] }, type: { any_: ["docker"] } },
      "name or type": { operator: "or_", name: { any_: [world.name("pool")] }, type: { any_: ["no-type"] } },
    },
    work_pool_queues: {
      name: { name: { any_: ["default"] } },
      "beginning of the name": { name: { startswith_: ["def", "x"] } },
      "beginning of another name": { name: { startswith_: ["none"] } },
      "no id": { id: { any_: [] } },
    },
  };
}

/** The criteria of tags, which hold for the row that has the tags x and y. */
const tags = (world: World): Criteria => ({
  "all tags": { tags: { all_: [world.name("x"), world.name("y")] } },
  "a tag that no row has": { tags: { all_: [world.name("x"), world.name("z")] } },
  "no tags": { tags: { is_null_: true } },
  "some tags": { tags: { is_null_: false } },
  "all tags or none": { tags: { operator: "or_", all_: [world.name("x")], is_null_: true } },
});

const names = (world: World, a: string, b: string): Criteria => ({
  name: { name: { any_: [world.name(a)] } },
  "name like": { name: { like_: `${b}-${world.suffix}` } },
  "name like, in capitals": { name: { like_: `${b}-${world.suffix}`.toUpperCase() } },
  "two names": { name: { any_: [world.name(a), world.name(b), "none"] } },
  "no name": { name: { any_: [] } },
});

const times = (field: string): Criteria => ({
  [`${field} after`]: { [field]: { after_: "2097-01-01T00:00:00Z" } },
  [`${field} before`]: { [field]: { before_: "2097-01-01T00:00:00Z" } },
});

function flows(world: World, { flow, alone }: Ids): Criteria {
  return {
    id: { id: { any_: [flow] } },
    "not the id": { id: { not_any_: [flow] } },
    ...names(world, "flow-a", "flow-b"),
    "no tags": { tags: { is_null_: true } },
    "with deployments": { deployment: { is_null_: false } },
    "without deployments": { deployment: { is_null_: true } },
    "one or the other": { operator: "or_", id: { any_: [flow] }, name: { any_: [world.name("flow-b")] } },
    "one and the other": { id: { any_: [flow, alone] }, name: { any_: [world.name("flow-b")] } },
  };
}

function flowRuns(world: World, { run, deployment, task, child }: Ids): Criteria {
  return {
    id: { id: { any_: [run] } },
    "not the id": { id: { not_any_: [run] } },
    ...names(world, "run-a", "run-b"),
    ...tags(world),
    "any tag": { tags: { any_: [world.name("y"), world.name("z")] } },
    deployment: { deployment_id: { any_: [deployment] } },
    "without deployment": { deployment_id: { is_null_: true } },
    "one deployment or none": { deployment_id: { operator: "or_", any_: [deployment], is_null_: true } },
    "work queue": { work_queue_name: { any_: ["default"] } },
    "without work queue": { work_queue_name: { is_null_: true } },
    "type of state": { state: { type: { any_: ["SCHEDULED"] } } },
    "not the type of state": { state: { type: { not_any_: ["SCHEDULED"] } } },
    "name of state": { state: { name: { any_: ["Planned"] } } },
    "not the name of state": { state: { name: { not_any_: ["Planned"] } } },
    "type or name of state": { state: { operator: "or_", type: { any_: ["RUNNING"] }, name: { any_: ["Planned"] } } },
    version: { flow_version: { any_: ["7"] } },
    started: { start_time: { is_null_: false } },
    "not started": { start_time: { is_null_: true } },
    "not ended": { end_time: { is_null_: true } },
    ...times("start_time"),
    ...times("end_time"),
    ...times("expected_start_time"),
    ...times("next_scheduled_start_time"),
    parent: { parent_flow_run_id: { any_: [run] } },
    "parent task": { parent_task_run_id: { any_: [task] } },
    "without parent task": { parent_task_run_id: { is_null_: true } },
    "key of idempotency": { idempotency_key: { any_: [world.name("key")] } },
    "not the key of idempotency": { idempotency_key: { not_any_: [world.name("key")] } },
    "created by nobody": { created_by: { is_null_: true } },
    "created by a type": { created_by: { type_: ["DEPLOYMENT", "AUTOMATION"] } },
    "created by an id": { created_by: { id_: [deployment] } },
    "one or the other": { operator: "or_", id: { any_: [run] }, name: { any_: [world.name("run-c")] } },
    "one and the other": { id: { any_: [run, child] }, name: { any_: [world.name("run-c")] } },
  };
}

function taskRuns(world: World, { task, run }: Ids): Criteria {
  return {
    id: { id: { any_: [task] } },
    ...names(world, "task-a", "task-b"),
    ...tags(world),
    "type of state": { state: { type: { any_: ["PENDING"] } } },
    "name of state": { state: { name: { not_any_: ["Pending"] } } },
    "type or name of state": { state: { operator: "or_", type: { any_: ["FAILED"] }, name: { any_: ["Pending"] } } },
    "not started": { start_time: { is_null_: true } },
    "not ended": { end_time: { is_null_: true } },
    ...times("start_time"),
    ...times("end_time"),
    ...times("expected_start_time"),
    "with subflow": { subflow_runs: { exists_: true } },
    "without subflow": { subflow_runs: { exists_: false } },
    "flow run": { flow_run_id: { any_: [run] } },
    "without flow run": { flow_run_id: { is_null_: true } },
    "flow run or none": { flow_run_id: { operator: "or_", any_: [run], is_null_: true } },
    "one or the other": { operator: "or_", id: { any_: [task] }, name: { any_: [world.name("task-b")] } },
  };
}

function deployments(world: World, { deployment }: Ids): Criteria {
  return {
    id: { id: { any_: [deployment] } },
    "not the id": { id: { not_any_: [deployment] } },
    ...names(world, "dep-a", "dep-b"),
    ...tags(world),
    "any tag": { tags: { any_: [world.name("y"), world.name("z")] } },
    "name of the flow": { flow_or_deployment_name: { like_: `flow-a-${world.suffix}` } },
    "name of the deployment": { flow_or_deployment_name: { like_: `dep-b-${world.suffix}` } },
    paused: { paused: { eq_: true } },
    "not paused": { paused: { eq_: false } },
    "work queue": { work_queue_name: { any_: ["default"] } },
    "limit from": { concurrency_limit: { ge_: 2 } },
    "limit to": { concurrency_limit: { le_: 2 } },
    "without limit": { concurrency_limit: { is_null_: true } },
    "one or the other": { operator: "or_", id: { any_: [deployment] }, name: { any_: [world.name("dep-b")] } },
  };
}

/** The filters of the resources in D1. Each filter has fields, and each field has its SQL condition. */
import { namedStrictObject } from "#wire/named";
import * as z from "zod";
import { type SQL, type SQLWrapper, sql } from "drizzle-orm";
import { flowRunStart, startsOfExpectedSince, startsOfExpectedUntil } from "#db/expected-starts";
import { areLiveNames, liveRuns, liveRunsNamed } from "#db/live-runs";
import { createdByField } from "#db/short/created-by";
import { uuidText } from "#db/short/ids";
import { each, list } from "#db/sql";
import { areTaskRuns, ofFlowRun, ofFlowRuns } from "#db/task-run-keys";
import { deployment } from "#db/tables/deployment";
import { flow } from "#db/tables/flow";
import { flow_run } from "#db/tables/flow-run";
import { task_run } from "#db/tables/task-run";
import { variable } from "#db/tables/variable";
import { work_pool, work_queue } from "#db/tables/work-pool";
import { Time } from "#wire/dates";
import { Uuid } from "#wire/ids";
import { Bool, Int } from "#wire/scalars";
import { StateType, TERMINAL_TYPES } from "#wire/state";
import {
  ALWAYS,
  anyId,
  anyOf,
  combinable,
  combine,
  containing,
  contains,
  criterion,
  flagIs,
  group,
  hasAllTags,
  hasAnyTag,
  hasNoTags,
  isNull,
  lone,
  noneOf,
  Operator,
  seek,
  span,
  startsWith,
  Values,
} from "./clause";

export const flowFilter = combinable("FlowFilter", {
  id: group("FlowFilterId", { any_: anyId(flow.id), not_any_: noneOf(Uuid, flow.id) }),
  deployment: combinable("FlowFilterDeployment", { is_null_: criterion(Bool, hasNoDeployment) }),
  name: group("FlowFilterName", { any_: anyOf(z.string(), flow.name), like_: contains(flow.name) }),
  tags: combinable("FlowFilterTags", { all_: hasAllTags(flow.tags), is_null_: hasNoTags(flow.tags) }),
});

function hasNoDeployment(wanted: boolean, workspaceId: string): SQL {
  const exists = sql`exists (select 1 from ${deployment} as own where own.workspace_id = ${workspaceId} and own.flow_id = ${flow.id})`;
  return wanted ? sql`not ${exists}` : exists;
}

/** Prefect: `DeploymentFilterConcurrencyLimit` is accepted and ignored. */
const DeploymentFilterConcurrencyLimit = namedStrictObject("DeploymentFilterConcurrencyLimit", {
  ge_: Int.nullish(),
  le_: Int.nullish(),
  is_null_: Bool.nullish(),
});

/**
 * Prefect: a deployment without a queue name gets the default queue of its pool. A filter by the name of that queue
 * does not find the deployment.
 */
const namedQueue = sql`iif(${deployment.work_queue_name} is null, null, ${queueName(deployment)})`;

export const deploymentFilter = combinable("DeploymentFilter", {
  id: group("DeploymentFilterId", { any_: anyId(deployment.id), not_any_: noneOf(Uuid, deployment.id) }),
  name: group("DeploymentFilterName", { any_: anyOf(z.string(), deployment.name), like_: contains(deployment.name) }),
  flow_or_deployment_name: group("DeploymentOrFlowNameFilter", { like_: criterion(z.string(), isNamedLike) }),
  paused: group("DeploymentFilterPaused", { eq_: flagIs(deployment.paused) }),
  tags: combinable("DeploymentFilterTags", {
    all_: hasAllTags(deployment.tags),
    any_: hasAnyTag(deployment.tags),
    is_null_: hasNoTags(deployment.tags),
  }),
  work_queue_name: group("DeploymentFilterWorkQueueName", { any_: anyOf(z.string(), namedQueue) }),
  concurrency_limit: criterion(DeploymentFilterConcurrencyLimit, () => []),
});

function isNamedLike(text: string, workspaceId: string): SQL | [] {
  if (text === "") return [];
  const flowName = sql`(select owner.name from ${flow} as owner where owner.workspace_id = ${workspaceId} and owner.id = ${deployment.flow_id})`;
  return combine("or_", [containing(deployment.name, text), containing(flowName, text)]);
}

/** The present name of a row's work queue. Without a queue, or after its deletion, the name in the row itself. */
function queueName(table: Record<"workspace_id" | "work_queue_id" | "work_queue_name", SQLWrapper>): SQL {
  return sql`coalesce((select named.name from ${work_queue} as named
    where named.workspace_id = ${table.workspace_id} and named.id = ${table.work_queue_id}), ${table.work_queue_name})`;
}

export const flowRunFilter = combinable("FlowRunFilter", {
  id: group("FlowRunFilterId", { any_: anyId(flow_run.id), not_any_: noneOf(Uuid, flow_run.id) }),
  name: group("FlowRunFilterName", { any_: anyOf(z.string(), flow_run.name), like_: contains(flow_run.name) }),
  tags: combinable("FlowRunFilterTags", {
    all_: hasAllTags(flow_run.tags),
    any_: hasAnyTag(flow_run.tags),
    is_null_: hasNoTags(flow_run.tags),
  }),
  deployment_id: combinable("FlowRunFilterDeploymentId", {
    any_: anyId(flow_run.deployment_id),
    is_null_: isNull(flow_run.deployment_id),
  }),
  work_queue_name: combinable("FlowRunFilterWorkQueueName", {
    any_: anyOf(z.string(), queueName(flow_run)),
    is_null_: isNull(queueName(flow_run)),
  }),
  state: combinable("FlowRunFilterState", {
    type: lone(
      group("FlowRunFilterStateType", {
        any_: criterion(Values(StateType), hasStateType),
        not_any_: noneOf(StateType, flow_run.state_type),
      }),
    ),
    name: lone(
      group("FlowRunFilterStateName", {
        any_: criterion(Values(z.string()), hasStateName),
        not_any_: noneOf(z.string(), flow_run.state_name),
      }),
    ),
  }),
  flow_version: group("FlowRunFilterFlowVersion", { any_: anyOf(z.string(), flow_run.flow_version) }),
  start_time: group("FlowRunFilterStartTime", {
    ...span(flowRunStart),
    is_null_: isNull(flow_run.start_time),
  }),
  end_time: group("FlowRunFilterEndTime", {
    ...span(flow_run.end_time),
    is_null_: isNull(flow_run.end_time),
  }),
  expected_start_time: group("FlowRunFilterExpectedStartTime", {
    before_: criterion(Time, (time, workspaceId) => [
      sql`${flow_run.expected_start_time} <= ${time}`,
      startsOfExpectedUntil(workspaceId, time),
    ]),
    after_: criterion(Time, (time, workspaceId) => [
      sql`${flow_run.expected_start_time} >= ${time}`,
      startsOfExpectedSince(workspaceId, time),
    ]),
  }),
  next_scheduled_start_time: group("FlowRunFilterNextScheduledStartTime", span(flow_run.next_scheduled_start_time)),
  parent_flow_run_id: combinable("FlowRunFilterParentFlowRunId", { any_: criterion(Values(Uuid), hasParentFlowRun) }),
  parent_task_run_id: combinable("FlowRunFilterParentTaskRunId", {
    any_: anyId(flow_run.parent_task_run_id),
    is_null_: isNull(flow_run.parent_task_run_id),
  }),
  idempotency_key: group("FlowRunFilterIdempotencyKey", {
    any_: anyOf(z.string(), flow_run.idempotency_key),
    not_any_: noneOf(z.string(), flow_run.idempotency_key),
  }),
  created_by: combinable("FlowRunFilterCreatedBy", {
    id_: anyOf(Uuid, createdByField(flow_run.created_by, "id")),
    type_: anyOf(z.string(), createdByField(flow_run.created_by, "type")),
    is_null_: isNull(flow_run.created_by),
  }),
});

/**
 * Runs in a state that is not terminal have no `end_time`, and only scheduled runs have a next scheduled start. With
 * these conditions SQLite uses the small index of live runs and does not scan all runs.
 */
function hasStateType(types: StateType[], workspaceId: string): SQL {
  const type = sql`${flow_run.state_type} in ${list(types)}`;
  if (types.length === 0 || types.some((one) => TERMINAL_TYPES.has(one))) return type;
  const next = flow_run.next_scheduled_start_time;
  if (!types.includes("SCHEDULED")) return sql`(${type} and ${flow_run.end_time} is null and ${next} is null)`;
  if (types.every((one) => one === "SCHEDULED")) {
    return sql`(${type} and ${flow_run.end_time} is null and likelihood(${next} > -9e18, 0.01))`;
  }
  return sql`(${type} and ${seek(flow_run.id, sql`${flow_run.id} in (${liveRuns(workspaceId)})`)})`;
}

/** Of the names of states before the end, the indexes of the few runs that have them are used. */
function hasStateName(names: string[], workspaceId: string): SQL {
  const named = sql`${flow_run.state_name} in ${list(names)}`;
  const live = liveRunsNamed(names, workspaceId);
  return live ? sql`(${named} and ${seek(flow_run.id, sql`${flow_run.id} in (${live})`)})` : named;
}

/** Whether a filter finds only runs of the small indexes, by the types or names of their states. */
export function namesLiveStates({ operator, state }: z.output<typeof flowRunFilter.schema>): boolean {
  if (operator !== "and_" || state?.operator !== "and_") return false;
  const { type, name } = state;
  const types = type?.not_any_?.length ? [] : (type?.any_ ?? []);
  const names = name?.not_any_?.length ? [] : (name?.any_ ?? []);
  return (types.length > 0 && !types.some((one) => TERMINAL_TYPES.has(one))) || areLiveNames(names);
}

function hasParentFlowRun(ids: string[], workspaceId: string): SQL {
  const parents = sql`select ${sql.raw(uuidText("parent.id"))} from ${task_run} as parent
    where ${ofFlowRuns(workspaceId, each(ids), "parent")}`;
  return seek(flow_run.parent_task_run_id, sql`${flow_run.parent_task_run_id} in (${parents})`);
}

/** Prefect: `is_null_` is false by default. If `is_null_` is true, `any_` is ignored. If `is_null_` is false, it is ignored if `any_` is given. */
const TaskRunFilterFlowRunId = namedStrictObject("TaskRunFilterFlowRunId", {
  operator: Operator.default("and_"),
  any_: Values(Uuid).nullish(),
  is_null_: Bool.nullable().default(false),
});

export const taskRunFilter = combinable("TaskRunFilter", {
  id: group("TaskRunFilterId", { any_: criterion(Values(Uuid), (ids, workspaceId) => areTaskRuns(workspaceId, ids)) }),
  name: group("TaskRunFilterName", { any_: anyOf(z.string(), task_run.name), like_: contains(task_run.name) }),
  tags: combinable("TaskRunFilterTags", { all_: hasAllTags(task_run.tags), is_null_: hasNoTags(task_run.tags) }),
  state: combinable("TaskRunFilterState", {
    type: lone(group("TaskRunFilterStateType", { any_: anyOf(StateType, task_run.state_type) })),
    name: lone(group("TaskRunFilterStateName", { any_: anyOf(z.string(), task_run.state_name) })),
  }),
  start_time: group("TaskRunFilterStartTime", {
    ...span(task_run.start_time),
    is_null_: isNull(task_run.start_time),
  }),
  end_time: group("TaskRunFilterEndTime", {
    ...span(task_run.end_time),
    is_null_: isNull(task_run.end_time),
  }),
  expected_start_time: group("TaskRunFilterExpectedStartTime", span(task_run.expected_start_time)),
  subflow_runs: group("TaskRunFilterSubFlowRuns", { exists_: criterion(Bool, hasSubflowRun) }),
  flow_run_id: criterion(TaskRunFilterFlowRunId, hasFlowRun),
});

function hasSubflowRun(wanted: boolean, workspaceId: string): SQL {
  const exists = sql`exists (select 1 from ${flow_run} as subflow
    where subflow.workspace_id = ${workspaceId} and subflow.parent_task_run_id = ${sql.raw(uuidText("task_run.id"))})`;
  return wanted ? exists : sql`not ${exists}`;
}

function hasFlowRun(filter: z.output<typeof TaskRunFilterFlowRunId>, workspaceId: string): SQL | SQL[] {
  const { any_: ids, is_null_: none } = filter;
  if (none === true) return sql`${task_run.flow_run_id} is null`;
  if (ids !== null && ids !== undefined) return ofAnyFlowRun(workspaceId, ids);
  return none === false ? sql`${task_run.flow_run_id} is not null` : ALWAYS;
}

/** The condition that a task run belongs to one of these flow runs. */
export function ofAnyFlowRun(workspaceId: string, ids: readonly string[]): SQL {
  const [id, ...others] = ids;
  return id !== undefined && others.length === 0 ? ofFlowRun(workspaceId, id) : ofFlowRuns(workspaceId, each(ids));
}

export const workPoolFilter = combinable("WorkPoolFilter", {
  id: group("WorkPoolFilterId", { any_: anyId(work_pool.id) }),
  name: group("WorkPoolFilterName", { any_: anyOf(z.string(), work_pool.name) }),
  type: group("WorkPoolFilterType", { any_: anyOf(z.string(), work_pool.type) }),
});

export const workQueueFilter = combinable("WorkQueueFilter", {
  id: group("WorkQueueFilterId", { any_: anyId(work_queue.id) }),
  name: group("WorkQueueFilterName", {
    any_: anyOf(z.string(), work_queue.name),
    startswith_: startsWith(work_queue.name),
  }),
});

export const variableFilter = combinable("VariableFilter", {
  id: group("VariableFilterId", { any_: anyId(variable.id) }),
  name: group("VariableFilterName", { any_: anyOf(z.string(), variable.name), like_: contains(variable.name) }),
  tags: combinable("VariableFilterTags", { all_: hasAllTags(variable.tags), is_null_: hasNoTags(variable.tags) }),
});

/** The criteria of flow runs. */
import { type SQL, sql } from "drizzle-orm";
import * as z from "zod";
import { flow_run } from "#db/tables/flow-run";
import { task_run } from "#db/tables/task-run";
import { Uuid } from "#wire/ids";
import { StateType, TERMINAL_TYPES } from "#wire/state";
import {
  anyId,
  anyOf,
  combinable,
  contains,
  criterion,
  group,
  hasAllTags,
  hasAnyTag,
  hasNoTags,
  isNull,
  lone,
  noneOf,
  seek,
  span,
  Values,
} from "./clause";
import { queueName } from "./queue-name";
import { asObject, list } from "#db/sql";

/** The time at which a run started or is expected to start, in the words of the index `flow_run_start`. */
export const flowRunStart = sql`coalesce(${flow_run.start_time}, ${flow_run.expected_start_time})`;

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
        any_: anyOf(z.string(), flow_run.state_name),
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
  expected_start_time: group("FlowRunFilterExpectedStartTime", span(flow_run.expected_start_time)),
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
    id_: anyOf(Uuid, sql`${asObject(flow_run.created_by)} ->> '$.id'`),
    type_: anyOf(z.string(), sql`${asObject(flow_run.created_by)} ->> '$.type'`),
    is_null_: isNull(flow_run.created_by),
  }),
});

export const FlowRunFilter = flowRunFilter.schema;
export type FlowRunFilter = z.output<typeof FlowRunFilter>;

/**
 * Runs in a state that is not terminal have no `end_time`, and only scheduled runs have a next scheduled start. With these
 * conditions SQLite uses the small index of live runs and does not go through all runs.
 */
function hasStateType(types: StateType[], workspaceId: string): SQL {
  const type = sql`${flow_run.state_type} in ${list(types)}`;
  if (types.length === 0 || types.some((one) => TERMINAL_TYPES.has(one))) return type;
  const next = flow_run.next_scheduled_start_time;
  if (!types.includes("SCHEDULED")) return sql`(${type} and ${flow_run.end_time} is null and ${next} is null)`;
  if (types.every((one) => one === "SCHEDULED")) {
    return sql`(${type} and ${flow_run.end_time} is null and likelihood(${next} > -9e18, 0.01))`;
  }
  const live = sql`select live.id from ${flow_run} as live indexed by flow_run_live
    where live.end_time is null and live.workspace_id = ${workspaceId}`;
  return sql`(${type} and ${seek(flow_run.id, sql`${flow_run.id} in (${live})`)})`;
}

function hasParentFlowRun(ids: string[], workspaceId: string): SQL {
  const parents = sql`select parent.id from ${task_run} as parent
    where parent.workspace_id = ${workspaceId} and parent.flow_run_id in ${list(ids)} and parent.flow_run_id is not null`;
  return seek(flow_run.parent_task_run_id, sql`${flow_run.parent_task_run_id} in (${parents})`);
}

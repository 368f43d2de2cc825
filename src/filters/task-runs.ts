/** The criteria of task runs. */
import { type SQL, sql } from "drizzle-orm";
import * as z from "zod";
import { flow_run } from "#db/tables/flow-run";
import { task_run } from "#db/tables/task-run";
import { Uuid } from "#wire/ids";
import { StateType } from "#wire/state";
import { Bool } from "#wire/scalars";
import {
  ALWAYS,
  anyId,
  anyOf,
  combinable,
  contains,
  criterion,
  group,
  hasAllTags,
  hasNoTags,
  isNull,
  lone,
  Operator,
  span,
  Values,
} from "./clause";

/** Prefect: `is_null_` is false by default. If it is true, `any_` does not count; if it is false, it counts only without `any_`. */
const TaskRunFilterFlowRunId = z
  .strictObject({
    operator: Operator.default("and_"),
    any_: Values(Uuid).nullish(),
    is_null_: Bool.nullable().default(false),
  })
  .meta({ id: "TaskRunFilterFlowRunId" });

export const taskRunFilter = combinable("TaskRunFilter", {
  id: group("TaskRunFilterId", { any_: anyId(task_run.id) }),
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

export const TaskRunFilter = taskRunFilter.schema;
export type TaskRunFilter = z.output<typeof TaskRunFilter>;

function hasSubflowRun(wanted: boolean, workspaceId: string): SQL {
  const exists = sql`exists (select 1 from ${flow_run} as subflow
    where subflow.workspace_id = ${workspaceId} and subflow.parent_task_run_id = ${task_run.id})`;
  return wanted ? exists : sql`not ${exists}`;
}

function hasFlowRun(filter: z.output<typeof TaskRunFilterFlowRunId>, workspaceId: string): SQL {
  const { any_: ids, is_null_: none } = filter;
  if (none === true) return sql`${task_run.flow_run_id} is null`;
  const among = anyId(task_run.flow_run_id).clause(ids, workspaceId);
  return among ?? (none === false ? sql`${task_run.flow_run_id} is not null` : ALWAYS);
}

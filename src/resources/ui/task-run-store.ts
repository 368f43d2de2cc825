/** The statements of the routes under /ui/task_runs. */
import { type SQL, sql } from "drizzle-orm";
import { uuidText } from "#db/short/ids";
import { flow_run } from "#db/tables/flow-run";
import { task_run } from "#db/tables/task-run";
import { type Filters, whereClause } from "#filters/joins";
import type { Micros } from "#lib/clock";

/** The columns of a task run, and the name of its flow run. */
export function withFlowRunName(workspaceId: string): SQL {
  return sql`task_run.*, (select r.name from ${flow_run} as r where r.workspace_id = ${workspaceId}
    and r.id = ${sql.raw(uuidText("task_run.flow_run_id"))}) as flow_run_name`;
}

/** Counts the task runs that meet the filters by the types of their states. */
export function selectCountsByState(filters: Filters, workspaceId: string): SQL {
  return sql`select state_type, count(*) as count from ${task_run}
    where ${whereClause("task_runs", filters, workspaceId)} and state_type is not null group by state_type`;
}

/** Buckets of time of equal length, in microseconds. */
export interface Buckets {
  start: Micros;
  length: Micros;
}

/** Counts the ended task runs that meet the filters by the bucket in which they started. */
export function selectDashboardCounts(filters: Filters, workspaceId: string, buckets: Buckets): SQL {
  const bucket = sql`cast((${task_run.start_time} - ${buckets.start}) / cast(${buckets.length} as real) as integer)`;
  const failed = sql`sum(${task_run.state_type} in ('FAILED', 'CRASHED'))`;
  return sql`select ${bucket} as bucket, ${failed} as failed, count(*) - ${failed} as completed
    from ${task_run} where ${whereClause("task_runs", filters, workspaceId)} group by 1`;
}

/** The statements of the routes under /ui/task_runs. */
import { type SQL, sql } from "drizzle-orm";
import { uuidText } from "#db/short/ids";
import { idIn, KEY_FORMS, workspaceIn } from "#db/task-run-keys";
import { flow_run } from "#db/tables/flow-run";
import { task_run } from "#db/tables/task-run";
import { type Filters, namesTaskRuns, whereClause } from "#filters/joins";
import { DAY, earliestId, type Micros } from "#lib/clock";

/** The columns of a task run, and the name of its flow run. */
export function withFlowRunName(workspaceId: string): SQL {
  return sql`task_run.*, (select r.name from ${flow_run} as r where r.workspace_id = ${workspaceId}
    and r.id = ${sql.raw(uuidText("task_run.flow_run_id"))}) as flow_run_name`;
}

/** Counts the task runs that meet the filters by the types of their states. */
export function selectCountsByState(filters: Filters, workspaceId: string): SQL {
  return sql`select state_type, count(*) as count from (${foundBy(filters, workspaceId, sql`state_type`)})
    where state_type is not null group by state_type`;
}

/** Buckets of time of equal length, in microseconds. */
export interface Buckets {
  start: Micros;
  length: Micros;
}

/** Counts the ended task runs that meet the filters by the bucket in which they started. */
export function selectDashboardCounts(filters: Filters, workspaceId: string, buckets: Buckets): SQL {
  const columns = sql`cast((${task_run.start_time} - ${buckets.start}) / cast(${buckets.length} as real) as integer) as bucket,
    ${task_run.state_type} in ('FAILED', 'CRASHED') as has_failed`;
  return sql`select bucket, sum(has_failed) as failed, count(*) - sum(has_failed) as completed
    from (${foundBy(filters, workspaceId, columns)}) group by bucket`;
}

/** How long before its start a task run may have got its id, for a search by the time of its start. */
const MAX_WAIT = DAY;
/** No id with a time is older: the first version of Prefect that makes such ids is younger. */
const FIRST_ORDERED_ID = earliestId(Date.UTC(2022, 0) * 1000);

/**
 * Selects columns of the task runs that meet the filters. No index has the times of task runs. But the ids of clients are in the order of
 * time, so a search by the start begins at the ids of the day before. Ids of other kinds are nearly all outside of the times of ids.
 */
function foundBy(filters: Filters, workspaceId: string, columns: SQL): SQL {
  const where = whereClause("task_runs", filters, workspaceId);
  const first = firstId(filters);
  if (first === null) return sql`select ${columns} from ${task_run} where ${where}`;
  const selects = KEY_FORMS.flatMap((form) =>
    [sql`< ${idIn(form, FIRST_ORDERED_ID)}`, sql`>= ${idIn(form, first)}`].map(
      (range) => sql`select * from met where met.workspace_id = ${workspaceIn(form, workspaceId)} and met.id ${range}`,
    ),
  );
  // The values of the filters are bound once: D1 binds 100 values to a statement.
  return sql`with met as not materialized (select task_run.workspace_id, task_run.id, ${columns} from ${task_run} where ${where})
    ${sql.join(selects, sql` union all `)}`;
}

/** The first id of task runs that the filters may find by the time of their start; null if another index finds them, or none. */
function firstId(filters: Filters): string | null {
  const { operator, start_time: started } = filters.task_runs ?? {};
  if (operator !== "and_" || typeof started?.after_ !== "number" || namesTaskRuns(filters)) return null;
  const first = earliestId(started.after_ - MAX_WAIT);
  return first > FIRST_ORDERED_ID ? first : null;
}

/**
 * Finds task runs by the time at which they started or were expected to start. No index has these times: it would be one more written row
 * for each task run. But clients make ids that begin with the time, and nearly all task runs start within an hour after they got their id.
 * The index `task_run_waited` has the few others. Ids without a time are mostly later than all times of ids.
 */
import { type SQL, sql } from "drizzle-orm";
import { shortWorkspace } from "#db/short/ids";
import { inline } from "#db/sql";
import { task_run } from "#db/tables/task-run";
import { DAY, type Micros } from "#lib/clock";

/**
 * A condition that is true for all task runs that started, or were expected to start, at this time or later. It is not true for most others.
 * Rows with their ids as text, from before there were short ids, are not told apart.
 */
export function mayStartSince(workspaceId: string, since: Micros | SQL): SQL {
  const time = typeof since === "number" ? inline(since) : since;
  const own = shortWorkspace(workspaceId);
  const waited = sql`select waited.id from ${task_run} as waited indexed by task_run_waited
    where waited.workspace_id = ${own} and typeof(waited.id) = 'blob'
      and waited.id < unhex(printf('%012x', (max(coalesce(waited.start_time, waited.expected_start_time), coalesce(waited.expected_start_time, waited.start_time)) - 3600000000) / 1000))
      and (waited.start_time >= ${time} or waited.expected_start_time >= ${time})`;
  return sql`((task_run.workspace_id = ${own} and task_run.id >= unhex(printf('%012x', max(0, ${time} - 3600000000) / 1000)))
    or (task_run.workspace_id = ${own} and task_run.id in (${waited}))
    or task_run.workspace_id = ${workspaceId})`;
}

/** How far the clock of a client that makes ids may be ahead. */
const MAX_AHEAD = DAY;

/**
 * Subqueries for a select of the task runs in `met` (rows of the table) that were expected last: all of the last `count` such task runs
 * meet `mayStartSince(workspaceId, BOUND)`. The bound is the earliest time at which one of the last `count` task runs by id was expected.
 * If there are fewer with a time in their ids, the bound is before all times.
 */
export function boundOfLastExpected(workspaceId: string, count: number, now: Micros): SQL {
  const last = sql`select expected_start_time from met where workspace_id = ${shortWorkspace(workspaceId)}
    and id < unhex(printf('%012x', ${now + MAX_AHEAD} / 1000)) order by id desc limit ${count}`;
  return sql`bound as materialized (
    select iif(count(*) < ${count}, 0, min(coalesce(expected_start_time, 0))) as time from (${last}))`;
}

/** The bound, as a value. */
export const BOUND = sql`(select time from bound)`;

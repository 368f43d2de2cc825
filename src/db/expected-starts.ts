/**
 * Finds flow runs by the time at which they were expected to start. No index has this time: it would be one more written row for each run.
 * But nearly all runs start within a day after they were expected, and `flow_run_start` has their starts. The index `flow_run_off_time` has
 * the few other runs: late ones, and those that ended or were started by hand before they were due.
 */
import { type SQL, sql } from "drizzle-orm";
import { inline } from "#db/sql";
import { flow_run } from "#db/tables/flow-run";
import { DAY, type Micros } from "#lib/clock";

/** The time at which a run started or is expected to start. The indexes by start have the same expression. */
export const flowRunStart = sql`coalesce(${flow_run.start_time}, ${flow_run.expected_start_time})`;

/** A condition on the starts of all runs that were expected at this time or later. */
export function startsOfExpectedSince(workspaceId: string, since: Micros): SQL {
  const time = inline(since);
  const early = sql`select min(off.start_time) from ${offTime(workspaceId)} and off.expected_start_time >= ${time}`;
  return sql`${flowRunStart} >= coalesce(min(${time}, (${early})), ${time})`;
}

/** A condition on the starts of all runs that were expected at this time or earlier. */
export function startsOfExpectedUntil(workspaceId: string, until: Micros): SQL {
  const [time, latest] = [inline(until), inline(until + DAY)];
  const late = sql`select max(off.start_time) from ${offTime(workspaceId)} and off.expected_start_time <= ${time}`;
  return sql`${flowRunStart} <= coalesce(max(${latest}, (${late})), ${latest})`;
}

/** A run as a select of `lastExpected` needs it: the columns `id`, `start` (the same as `flowRunStart`) and `expected_start_time`. */
export const START_COLUMNS = sql`${flow_run.id} as id, ${flowRunStart} as start, ${flow_run.expected_start_time} as expected_start_time`;

/**
 * Subqueries for a select of the runs in `met` that were expected last: all of the last `count` such runs meet `SINCE_BOUND`, so that an
 * index gives them. The bound is the earliest time at which one of the last `count` runs by start was expected. Later expected runs also
 * started later, or are in the index `flow_run_off_time`. A run without any time does not meet the condition.
 */
export function boundOfLastExpected(workspaceId: string, count: number): SQL {
  const last = sql`select start, expected_start_time from met order by start desc limit ${count}`;
  const early = sql`select min(off.start_time) from ${offTime(workspaceId)} and off.expected_start_time >= last.time`;
  return sql`last as materialized (select min(min(start, coalesce(expected_start_time, -9e18))) as time from (${last})),
    bound as materialized (select coalesce(min(last.time, (${early})), last.time) as time from last)`;
}

/** The condition on the rows of `met`. */
export const SINCE_BOUND = sql`start >= (select time from bound)`;

/** Selects the ids of runs that were never expected to start, and did not start. */
export const runsWithoutTime = (workspaceId: string): SQL => sql`select timeless.id
  from ${flow_run} as timeless indexed by flow_run_start
  where timeless.workspace_id = ${workspaceId} and coalesce(timeless."start_time", timeless."expected_start_time") is null`;

/** The runs of the index. The condition has to be that of the index. */
const offTime = (workspaceId: string): SQL => sql`${flow_run} as off indexed by flow_run_off_time
  where off.workspace_id = ${workspaceId}
    and not (off.start_time between off.expected_start_time and off.expected_start_time + 86400000000)`;

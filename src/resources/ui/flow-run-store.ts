/** The statements of the routes under /ui/flow_runs. */
import { type SQL, sql } from "drizzle-orm";
import { estimatedRunTimeOf, latenessOf } from "#db/run-estimates";
import { uuidText } from "#db/short/ids";
import { each } from "#db/sql";
import { flow_run } from "#db/tables/flow-run";
import { task_run } from "#db/tables/task-run";
import { ofFlowRuns } from "#db/task-run-keys";
import { flowRunStart } from "#filters/criteria";
import { orderBy, type FlowRunSort } from "#filters/sorts";
import type { Micros } from "#lib/clock";
import type { StateType } from "#wire/state";

/** A part of a sorted list. */
interface Part {
  sort: FlowRunSort;
  limit: number;
  offset: number;
}

/** A flow run of a history. Times are in microseconds. */
export interface HistoryRun {
  id: string;
  state_type: StateType;
  timestamp: Micros;
  duration: Micros;
  lateness: Micros;
}

/** Selects `HistoryRun`s that meet `where`. A run that has no state or no time has no place in a history. */
export function selectHistoryRuns(where: SQL, { sort, limit, offset }: Part, now: Micros): SQL {
  const met = sql`select ${flow_run.id} as id, ${flow_run.state_type} as state_type, ${flowRunStart} as timestamp,
      ${estimatedRunTimeOf(flow_run, now)} as duration, ${latenessOf(flow_run, now)} as lateness, expected_start_time
    from ${flow_run} where ${where} and ${flow_run.state_type} is not null and ${flowRunStart} is not null`;
  const page = sql`limit ${limit} offset ${offset}`;
  if (sort !== "EXPECTED_START_TIME_DESC") return sql`${met} order by ${orderBy("flow_runs", sort)} ${page}`;
  return sql`with met as not materialized (${met}) select * from met where ${startsSince(limit + offset)}
    order by expected_start_time desc, id desc ${page}`;
}

/**
 * The condition on the runs in `met` that were expected last, so that an index gives them. It is true for the last `count` runs by start,
 * and for all that started since the earliest time of these. Other runs were expected earlier, unless they started before they were
 * expected.
 */
function startsSince(count: number): SQL {
  const last = sql`select min(expected_start_time, timestamp) as earlier from met order by timestamp desc limit ${count}`;
  return sql`timestamp >= coalesce((select min(earlier) from (${last})), -9e18)`;
}

/** Counts the task runs of flow runs, without those that stand for subflows. Flow runs without task runs have no row. */
export function selectTaskRunCounts(workspaceId: string, flowRunIds: readonly string[]): SQL {
  const isSubflow = sql`exists (select 1 from ${flow_run} as subflow where subflow.workspace_id = ${workspaceId}
    and subflow.parent_task_run_id = ${sql.raw(uuidText("task_run.id"))})`;
  return sql`select ${sql.raw(uuidText("task_run.flow_run_id"))} as id, count(*) as count from ${task_run}
    where ${ofFlowRuns(workspaceId, each(flowRunIds))} and not ${isSubflow} group by 1`;
}

/** The statements of the routes under /ui/flow_runs. */
import { type SQL, sql } from "drizzle-orm";
import { boundOfLastExpected, flowRunStart, SINCE_BOUND, START_COLUMNS } from "#db/expected-starts";
import { estimatedRunTimeOf, latenessOf } from "#db/run-estimates";
import { uuidText } from "#db/short/ids";
import { each } from "#db/sql";
import { flow_run } from "#db/tables/flow-run";
import { task_run } from "#db/tables/task-run";
import { ofFlowRuns } from "#db/task-run-keys";
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
export function selectHistoryRuns(workspaceId: string, where: SQL, { sort, limit, offset }: Part, now: Micros): SQL {
  const met = sql`select ${START_COLUMNS}, ${flow_run.state_type} as state_type, ${flowRunStart} as timestamp,
      ${estimatedRunTimeOf(flow_run, now)} as duration, ${latenessOf(flow_run, now)} as lateness
    from ${flow_run} where ${where} and ${flow_run.state_type} is not null and ${flowRunStart} is not null`;
  const page = sql`limit ${limit} offset ${offset}`;
  if (sort !== "EXPECTED_START_TIME_DESC") return sql`${met} order by ${orderBy("flow_runs", sort)} ${page}`;
  return sql`with met as not materialized (${met}), ${boundOfLastExpected(workspaceId, limit + offset)}
    select * from met where ${SINCE_BOUND} order by expected_start_time desc, id desc ${page}`;
}

/** Counts the task runs of flow runs, without those that stand for subflows. Flow runs without task runs have no row. */
export function selectTaskRunCounts(workspaceId: string, flowRunIds: readonly string[]): SQL {
  const isSubflow = sql`exists (select 1 from ${flow_run} as subflow where subflow.workspace_id = ${workspaceId}
    and subflow.parent_task_run_id = ${sql.raw(uuidText("task_run.id"))})`;
  return sql`select ${sql.raw(uuidText("task_run.flow_run_id"))} as id, count(*) as count from ${task_run}
    where ${ofFlowRuns(workspaceId, each(flowRunIds))} and not ${isSubflow} group by 1`;
}

/** Estimated times of runs, in microseconds: in SQL for many runs, summed by interval and state, and for a single row. */
import { type SQL, sql } from "drizzle-orm";
import type { flow_run } from "#db/tables/flow-run";
import type { task_run } from "#db/tables/task-run";
import type { Micros } from "#lib/clock";
import { endOf, type HistoryWindow } from "#wire/history";
import { type State, TERMINAL_TYPES } from "#wire/state";

/** The tables that have runs. */
type RunTable = typeof flow_run | typeof task_run;

/** Prefect: `estimated_run_time`, including the present period of running. Never negative. */
export function estimatedRunTimeOf(run: RunTable, now: Micros): SQL {
  const stretch = sql`iif(${run.state_type} = 'RUNNING', ${now} - ${run.state_timestamp}, 0)`;
  return sql`max(0, ${run.total_run_time} + coalesce(${stretch}, 0))`;
}

/** Prefect: `estimated_start_time_delta`, how late a run began, or how late it is now. Never negative. */
export function latenessOf(run: RunTable, now: Micros): SQL {
  return sql`case
    when ${run.start_time} > ${run.expected_start_time} then ${run.start_time} - ${run.expected_start_time}
    when ${run.start_time} is null and ${run.expected_start_time} < ${now}
      and ${run.state_type} not in ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED') then ${now} - ${run.expected_start_time}
    else 0 end`;
}

/**
 * Counts the runs that meet `where` by interval and state. Selects `HistoryRow`s. `total` adds as floats, because `sum`
 * fails the statement beyond 2^63.
 */
export function selectHistory(run: RunTable, where: SQL, window: HistoryWindow, now: Micros): SQL {
  const { start, interval } = window;
  return sql`select cast((${run.expected_start_time} - ${start}) / cast(${interval} as real) as integer) as interval,
        ${run.state_type} as state_type, ${run.state_name} as state_name, count(*) as count_runs,
        total(${estimatedRunTimeOf(run, now)}) as sum_estimated_run_time, total(${latenessOf(run, now)}) as sum_estimated_lateness
      from ${run}
      where ${where} and ${run.expected_start_time} >= ${start} and ${run.expected_start_time} < ${endOf(window)}
        and ${run.state_type} is not null
      group by 1, 2, 3 order by 1, 2, 3`;
}

/** Prefect: `estimated_run_time`, the time spent running so far, including the present period. */
export function estimatedRunTime(
  run: { total_run_time: Micros },
  state: Pick<State, "type" | "timestamp"> | null,
  now: Micros,
): Micros {
  if (state?.type !== "RUNNING") return run.total_run_time;
  return run.total_run_time + Math.max(0, now - state.timestamp);
}

const ENDED: ReadonlySet<string | null> = TERMINAL_TYPES;

/** Prefect: `estimated_start_time_delta`, how late the run began, or how late it is now. Never negative. */
export function startTimeDelta(
  run: Pick<typeof flow_run.$inferSelect, "start_time" | "expected_start_time" | "state_type">,
  now: Micros,
): Micros {
  if (run.expected_start_time === null) return 0;
  // A run that has ended without a start is not late.
  if (run.start_time === null && ENDED.has(run.state_type)) return 0;
  return Math.max(0, (run.start_time ?? now) - run.expected_start_time);
}

/** What is estimated of runs, as SQL in microseconds; `resources/flow-runs/store.ts` says the same of single rows. */
import { type SQL, sql } from "drizzle-orm";
import type { flow_run } from "#db/tables/flow-run";
import type { task_run } from "#db/tables/task-run";
import type { Micros } from "#lib/clock";

/** The tables that have runs. */
export type RunTable = typeof flow_run | typeof task_run;

/** Prefect: `estimated_run_time`, the present stretch of running included. Never negative. */
export function estimatedRunTimeOf(run: RunTable, now: Micros): SQL {
  const stretch = sql`iif(${run.state_type} = 'RUNNING', ${now} - ${run.state_timestamp}, 0)`;
  return sql`max(0, ${run.total_run_time} + coalesce(${stretch}, 0))`;
}

/** Prefect: `estimated_start_time_delta`, how late a run began, or is. Never negative. */
export function latenessOf(run: RunTable, now: Micros): SQL {
  return sql`case
    when ${run.start_time} > ${run.expected_start_time} then ${run.start_time} - ${run.expected_start_time}
    when ${run.start_time} is null and ${run.expected_start_time} < ${now}
      and ${run.state_type} not in ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED') then ${now} - ${run.expected_start_time}
    else 0 end`;
}

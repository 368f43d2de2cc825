/** Runs counted by interval and state, in one statement. */
import { type SQL, sql } from "drizzle-orm";
import { estimatedRunTimeOf, latenessOf, type RunTable } from "#db/run-estimates";
import type { Micros } from "#lib/clock";
import type { HistoryWindow } from "#wire/history";

/** Selects the `HistoryRow`s of the runs that meet `where`. `total` adds as floats: `sum` fails the statement beyond 2^63. */
export function selectHistory(
  run: RunTable,
  where: SQL,
  { start, interval, intervals }: HistoryWindow,
  now: Micros,
): SQL {
  return sql`select cast((${run.expected_start_time} - ${start}) / cast(${interval} as real) as integer) as interval,
        ${run.state_type} as state_type, ${run.state_name} as state_name, count(*) as count_runs,
        total(${estimatedRunTimeOf(run, now)}) as sum_estimated_run_time, total(${latenessOf(run, now)}) as sum_estimated_lateness
      from ${run}
      where ${where} and ${run.expected_start_time} >= ${start} and ${run.expected_start_time} < ${start + intervals * interval}
        and ${run.state_type} is not null
      group by 1, 2, 3 order by 1, 2, 3`;
}

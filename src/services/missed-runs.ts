/** Skips the runs of schedules that nobody began in time, where the schedule wants them no more. */
import { sql } from "drizzle-orm";
import { deployment_schedule } from "#db/tables/deployment";
import { flow_run } from "#db/tables/flow-run";
import type { Micros } from "#lib/clock";
import { isMissed, JOIN_SCHEDULE, MISSED_RUN, type MissedRun, skipRun } from "#orchestration/skip-missed-runs";
import { andNoneOf, forEachRun, inRounds } from "#services/by-workspace";
import { HOUR, isFirstOfHour } from "#services/turns";
import type { Tools } from "#tools";

/** How many runs are skipped at a time, and how often in one turn; what is left comes with the next turn. */
const AT_ONCE = 200;
const ROUNDS = 5;

/**
 * Skips what is missed. Runs that nobody starts stay among those that are due, so a turn looks only at the last two hours,
 * and the first turn of each hour at all. A poll looks by itself at what it hands out.
 */
export async function skipMissedRuns(tools: Tools): Promise<void> {
  const now = tools.clock();
  const after = isFirstOfHour(now) ? 0 : now - 2 * HOUR;
  await inRounds<MissedRun & { workspace_id: string }>(
    { atOnce: AT_ONCE, rounds: ROUNDS },
    (before) => tools.db.rows(selectMissed(after, now, before)),
    (missed) => forEachRun(tools, missed, skipRun),
  );
}

/** Nothing is read where no schedule has a policy; else an index seek among the runs that have not ended, by the time they are due. */
export function selectMissed(after: Micros, now: Micros, before: readonly MissedRun[] = []) {
  return sql`select r.workspace_id, ${MISSED_RUN} from ${flow_run} r indexed by flow_run_live ${JOIN_SCHEDULE}
    where exists (select 1 from ${deployment_schedule} p indexed by deployment_schedule_missed_runs where p.missed_runs is not null)
      and r.end_time is null and r.next_scheduled_start_time > ${after} and r.next_scheduled_start_time <= ${now}
      and ${isMissed(now)} ${andNoneOf("r.id", before)} limit ${AT_ONCE}`;
}

/** Runs that did not start in time are late. A pool's object marks its own to the second; this is for all others, and the guarantee. */
import { sql } from "drizzle-orm";
import { flow_run } from "#db/tables/flow-run";
import type { Micros } from "#lib/clock";
import { markLate } from "#orchestration/mark-late";
import { andNoneOf, byWorkspace, inRounds } from "#services/by-workspace";
import { HOUR, isFirstOfHour } from "#services/turns";
import type { Tools } from "#tools";

/** How many runs are marked at a time, and how often in one turn; what is left comes with the next turn. */
const AT_ONCE = 200;
const ROUNDS = 5;

/**
 * Marks what is overdue. Runs that nobody starts stay among those that are due, so a turn looks only at the last hour,
 * and the first turn of each hour at all: at what was made long overdue, or while no clock was running.
 */
export async function markLateRuns(tools: Tools): Promise<void> {
  const now = tools.clock();
  const until = now - tools.settings.services.late_runs.after_seconds * 1_000_000;
  const after = isFirstOfHour(now) ? 0 : until - HOUR;
  await inRounds<OverdueRun>(
    { atOnce: AT_ONCE, rounds: ROUNDS },
    (before) => tools.db.rows(selectOverdue(after, until, before)),
    (overdue) =>
      byWorkspace(tools, overdue, (own, runs) =>
        markLate(
          own,
          runs.map(({ id }) => id),
        ),
      ),
  );
}

interface OverdueRun {
  workspace_id: string;
  id: string;
}

/** An index seek among the runs that have not ended, by the time they are due. */
export function selectOverdue(after: Micros, until: Micros, before: readonly OverdueRun[] = []) {
  return sql`select ${flow_run.workspace_id}, ${flow_run.id} from ${flow_run} indexed by flow_run_live
    where ${flow_run.end_time} is null
      and ${flow_run.next_scheduled_start_time} > ${after} and ${flow_run.next_scheduled_start_time} <= ${until}
      and ${flow_run.state_type} = 'SCHEDULED' and ${flow_run.state_name} = 'Scheduled'
      ${andNoneOf("id", before)}
    order by ${flow_run.next_scheduled_start_time} limit ${AT_ONCE}`;
}

/**
 * Scheduled runs that did not start in time: they become late, or skipped where their schedule does not want them any more. The
 * object of a work pool marks its own late runs to the second.
 */
import { SECOND } from "#lib/clock";
import { markLate } from "#orchestration/mark-late";
import { type MissedRun, skipRun } from "#orchestration/skip-missed-runs";
import { type DueRow, seeToDue } from "#services/due";
import { byWorkspace, forEachRun } from "#services/kit";
import { selectMissed, selectOverdue } from "#services/sweep-store";
import { HOUR, overduePeriod } from "#services/turns";
import type { SweepTools } from "#tools";

/** Marks the runs that are overdue for so long as the settings say. */
export async function markLateRuns(tools: SweepTools): Promise<void> {
  const now = tools.clock();
  const until = now - tools.settings.services.late_runs.after_seconds * SECOND;
  const { name, period } = overduePeriod("late runs", now, until, HOUR);
  await seeToDue(tools, {
    name,
    select: (page) => selectOverdue(period, page),
    work: (runs) =>
      byWorkspace(tools, runs, (own, rows) => {
        const ids = rows.map(({ id }) => id);
        return markLate(own, ids);
      }),
  });
}

/** Skips the missed runs among those that are due. A poll looks by itself at the runs that it hands out. */
export async function skipMissedRuns(tools: SweepTools): Promise<void> {
  const now = tools.clock();
  const { name, period } = overduePeriod("missed runs", now, now, 2 * HOUR);
  await seeToDue<MissedRun & DueRow>(tools, {
    name,
    select: (page) => selectMissed(period, page),
    work: (missed) => forEachRun(tools, missed, skipRun),
  });
}

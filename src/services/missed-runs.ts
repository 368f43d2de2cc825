/** Skips the runs of schedules that nobody began in time, where the schedule does not want them any more. */
import { type MissedRun, skipRun } from "#orchestration/skip-missed-runs";
import { type Due, seeToDue } from "#services/due";
import { forEachRun } from "#services/kit";
import { selectMissed } from "#services/sweep-store";
import { HOUR, overduePeriod } from "#services/turns";
import type { SweepTools } from "#tools";

/** Skips the missed runs among those that are due. A poll looks by itself at the runs that it hands out. */
export async function skipMissedRuns(tools: SweepTools): Promise<void> {
  const now = tools.clock();
  const { name, period } = overduePeriod("missed runs", now, now, 2 * HOUR);
  await seeToDue<MissedRun & Due>(tools, {
    name,
    most: 200,
    steps: 10,
    select: (page) => selectMissed(period, page),
    work: (missed) => forEachRun(tools, missed, skipRun),
  });
}

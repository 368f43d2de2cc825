/** Runs that did not start in time are late. The object of a work pool marks its own runs to the second; this sweep finds all others. */
import { markLate } from "#orchestration/mark-late";
import { type Due, seeToDue } from "#services/due";
import { byWorkspace } from "#services/kit";
import { type RunKey, selectOverdue } from "#services/sweep-store";
import { HOUR, overduePeriod } from "#services/turns";
import type { SweepTools } from "#tools";

/** Marks the runs that are overdue for so long as the settings say. */
export async function markLateRuns(tools: SweepTools): Promise<void> {
  const now = tools.clock();
  const until = now - tools.settings.services.late_runs.after_seconds * 1_000_000;
  const { name, period } = overduePeriod("late runs", now, until, HOUR);
  await seeToDue<RunKey & Due>(tools, {
    name,
    most: 200,
    steps: 10,
    select: (page) => selectOverdue(period, page),
    work: (runs) =>
      byWorkspace(tools, runs, (own, rows) =>
        markLate(
          own,
          rows.map(({ id }) => id),
        ),
      ),
  });
}

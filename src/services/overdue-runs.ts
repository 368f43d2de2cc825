/**
 * Runs that are overdue. A scheduled run becomes Late, or Skipped if its schedule skips missed runs. A paused run
 * becomes FAILED. The object of a work pool marks its own late runs to the second.
 */
import { SECOND } from "#lib/clock";
import { markLate, type MissedRun, skipRun } from "#orchestration/mark-late";
import { MinimalFlowPolicy, onlyWhile } from "#orchestration/policies";
import { setFlowRunState } from "#orchestration/set-flow-run-state";
import type { FlowRunContext } from "#orchestration/transition";
import { byWorkspace, type DueRow, forEachRun, seeToDue } from "#services/due";
import { selectExpired, selectMissed, selectOverdue } from "#services/sweep-store";
import { HOUR, overduePeriod } from "#services/turns";
import type { SweepTools } from "#tools";

/** Marks the runs Late that are overdue for longer than the setting allows. */
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

/** Skips the missed runs among the due runs. A poll also skips the missed runs among the runs that it reads. */
export async function skipMissedRuns(tools: SweepTools): Promise<void> {
  const now = tools.clock();
  const { name, period } = overduePeriod("missed runs", now, now, 2 * HOUR);
  await seeToDue<MissedRun & DueRow>(tools, {
    name,
    select: (page) => selectMissed(period, page),
    work: (missed) => forEachRun(tools, missed, skipRun),
  });
}

const NEVER_RESUMED = { type: "FAILED", message: "The flow was paused and never resumed." } as const;

/** Writes nothing for a run that was resumed in the meantime. */
const whileExpired = onlyWhile(isExpired, MinimalFlowPolicy);

/** Fails the runs that have been paused too long. May be repeated, because a second turn finds no pause. */
export async function failExpiredPauses(tools: SweepTools): Promise<void> {
  const now = tools.clock();
  await seeToDue(tools, {
    name: "expired pauses",
    select: (page) => selectExpired(now, page),
    work: (expired) =>
      forEachRun(tools, expired, (own, { id }) => setFlowRunState(own, id, NEVER_RESUMED, { policy: whileExpired })),
  });
}

function isExpired({ initial, now }: FlowRunContext): boolean {
  const timeout = initial?.type === "PAUSED" && initial.state_details.pause_timeout;
  return typeof timeout === "number" && timeout < now;
}

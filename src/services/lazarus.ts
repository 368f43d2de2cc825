/** Runs that a worker took and that nobody began: after a while without a sign of life they are scheduled anew. */
import { sql } from "drizzle-orm";
import type { ServicesSettings } from "#env";
import { type Micros, SECOND } from "#lib/clock";
import { type DueRow, seeToDue } from "#services/due";
import { forEachRun, proposeState } from "#services/kit";
import { isSilentSince, lastHeardOf, type Signs } from "#services/signs-of-life";
import { selectStuckPending, type StuckPending } from "#services/sweep-store";
import { listeningSince } from "#services/turns";
import type { StateProposal } from "#wire/state";
import type { SweepTools } from "#tools";

/** The messages of the states that this service has made begin so. The service counts them. */
const SCHEDULED_ANEW = "Scheduled anew (";

type Settings = ServicesSettings["lazarus"];

interface StuckRun extends DueRow, Signs {
  state_id: string;
  /** How often the run was scheduled anew so far. */
  times: number;
}

/**
 * Puts the runs of deployments and pools that are stuck in Pending back to Scheduled; a run that was put back often enough
 * crashes. Silence counts from when this server began to listen. A run that has gone on since it was found is left alone.
 */
export async function scheduleAnew(tools: SweepTools): Promise<void> {
  const settings = tools.settings.services.lazarus;
  const now = tools.clock();
  const stuck = stuckPending(settings, now, await listeningSince(tools, "lazarus", now));
  await seeToDue<StuckRun>(tools, {
    name: "stuck runs",
    select: (page) => selectStuckPending(stuck, page),
    work: (runs) => forEachRun(tools, runs, (own, run) => proposeState(own, run, proposalFor(run, settings, now))),
  });
}

function proposalFor(run: StuckRun, { most_times: most }: Settings, now: Micros): StateProposal {
  const seconds = Math.round((now - lastHeardOf(run, now)) / SECOND);
  const why = `the run was Pending, and nothing was heard of it for ${seconds} seconds.`;
  if (run.times >= most)
    return { type: "CRASHED", message: `Given up after being scheduled anew ${most} times: ${why}` };
  return {
    type: "SCHEDULED",
    message: `${SCHEDULED_ANEW}${run.times + 1} of ${most}): ${why}`,
    state_details: { scheduled_time: now },
  };
}

/** What makes a run stuck at the time `now`, for a server that listens since `listening`. A run with infrastructure may be silent for longer. */
export function stuckPending(settings: Settings, now: Micros, listening: Micros): StuckPending {
  const isSilentFor = (seconds: number) => {
    const since = now - seconds * SECOND;
    return listening <= since ? isSilentSince(since, now) : sql`false`;
  };
  return {
    message: SCHEDULED_ANEW,
    isSilent: isSilentFor(settings.pending_seconds),
    isSilentWithInfrastructure: isSilentFor(settings.infrastructure_pending_seconds),
  };
}

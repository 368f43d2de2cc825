/**
 * Runs that have given no sign of life for too long. Lazarus: a worker took the run, but no process began it; the run is scheduled
 * again. Zombies: the run has sent heartbeats, and then nothing more; its process is gone, and the run becomes Crashed.
 */
import { sql } from "drizzle-orm";
import { isPassing, readJson } from "#db/database";
import { timeOfId, type Micros, SECOND } from "#lib/clock";
import type { ServicesSettings } from "#env";
import { inHalves } from "#lib/halving";
import { log } from "#lib/log";
import { type DueRow, forEachRun, proposeState, type RowKey, seeToDue } from "#services/due";
import {
  type Heartbeat,
  heartbeatInterval,
  isSilentSince,
  lastHeardOf,
  SHORTEST_INTERVAL,
  type Signs,
} from "#services/signs-of-life";
import {
  selectBoth,
  selectHeartbeats,
  selectOverdueRetries,
  selectSilent,
  selectStuckPending,
  type StuckPending,
} from "#services/sweep-store";
import { HOUR, listeningSince, overduePeriod } from "#services/turns";
import type { SweepTools, Tools } from "#tools";
import type { StateProposal } from "#wire/state";

/** The message of each state that Lazarus creates begins with this text. Lazarus counts such states. */
const SCHEDULED_ANEW = "Scheduled anew (";

type Settings = ServicesSettings["lazarus"];

interface StuckRun extends DueRow, Signs {
  state_id: string;
  /** How many times the run was scheduled again so far. */
  times: number;
}

/**
 * Sets the runs of deployments and pools that are stuck in Pending back to Scheduled. A run that was already set back
 * the allowed number of times becomes Crashed. Silence counts from when this server began to listen. A run is not
 * changed if its state has changed since the select.
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

/**
 * The conditions for a stuck run at the time `now`, for a server that has listened since `listening`. A run with
 * infrastructure may be silent for a longer time.
 */
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

interface SilentRun extends DueRow, Signs {
  state_id: string;
  /** When the next try of the run was due; null for a running run. */
  due: Micros | null;
}

interface Zombie extends RowKey {
  state_id: string;
  message: string;
}

/** The time of the turn, and the time since which this server has listened. */
interface Watch {
  now: Micros;
  listening: Micros;
}

/**
 * Crashes the runs that have sent heartbeats, then missed some, and have given no other sign of life. Silence counts
 * from when this server began to listen, so that no run crashes because the server was down.
 */
export async function crashZombies(tools: SweepTools): Promise<void> {
  const now = tools.clock();
  // The shortest silence of a zombie: the missed heartbeats at the shortest interval.
  const since = now - tools.settings.services.zombies.missed_heartbeats * SHORTEST_INTERVAL;
  const watch = { now, listening: await listeningSince(tools, "zombies", now) };
  // Retries that no process begins stay overdue.
  const { name, period } = overduePeriod("zombies", now, since, HOUR);
  await seeToDue<SilentRun>(tools, {
    name,
    most: 1_000,
    select: (page) => selectBoth(selectSilent(since, now, page), selectOverdueRetries(period, now, page), page),
    work: (silent) => crashSilent(tools, silent, watch),
  });
}

async function crashSilent(tools: SweepTools, silent: readonly SilentRun[], watch: Watch): Promise<void> {
  const crash = (own: Tools, { message, ...run }: Zombie) => proposeState(own, run, { type: "CRASHED", message });
  await inHalves(
    silent,
    async (some) => forEachRun(tools, await findZombies(tools, some, watch), crash),
    async ({ id }, error) =>
      log(tools, "error", "the heartbeats of a run could not be read", { flow_run_id: id, error }),
    { isPassing },
  );
}

/** The silent runs with an overdue heartbeat, with the message of their Crashed state. */
async function findZombies(
  tools: SweepTools,
  runs: readonly SilentRun[],
  { now, listening }: Watch,
): Promise<Zombie[]> {
  if (runs.length === 0) return [];
  const { missed_heartbeats: missed, fallback_heartbeat_interval_seconds: fallback } = tools.settings.services.zombies;
  const found = runs.map((run) => ({ ...run, lastHeard: lastHeardOf(run, now) }));
  const heartbeats = await readHeartbeats(tools, found);
  return found.flatMap(({ workspace_id, id, state_id, state_timestamp, due, lastHeard }, index) => {
    const heard = { heartbeats: heartbeats[index] ?? [], attemptBegan: due ?? state_timestamp, lastHeard };
    const interval = heartbeatInterval(heard, fallback * SECOND);
    if (interval === null || now - Math.max(lastHeard, due ?? 0, listening) <= missed * interval) return [];
    const message = messageOf({ interval, missed, silence: now - lastHeard, overdue: due === null ? null : now - due });
    return [{ workspace_id, id, state_id, message }];
  });
}

interface Evidence {
  interval: Micros;
  missed: number;
  silence: Micros;
  overdue: Micros | null;
}

function messageOf({ interval, missed, silence, overdue }: Evidence): string {
  const seconds = (time: Micros) => `${Math.round(time / SECOND)} seconds`;
  const why = `nothing was heard of it for ${seconds(silence)}, although it`;
  if (overdue !== null) return `The flow run's process is gone: ${why} was to try again ${seconds(overdue)} ago.`;
  return `The flow run's process is gone: ${why} sent heartbeats about every ${seconds(interval)} and has missed ${missed} of them.`;
}

/** The newest heartbeats of each run, in the order of the runs. */
async function readHeartbeats(
  { db }: SweepTools,
  runs: readonly (SilentRun & { lastHeard: Micros })[],
): Promise<Heartbeat[][]> {
  const rows = await db.rows<{ found: string }>(selectHeartbeats(runs));
  return rows.map(({ found }) =>
    readJson<[string, string][]>(found).map(([segmentId, entry]) => ({
      written: timeOfId(segmentId),
      occurred: Number(entry.slice(entry.lastIndexOf(" ") + 1)),
    })),
  );
}

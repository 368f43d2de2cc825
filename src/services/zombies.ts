/**
 * Crashes runs whose process is gone: a run that has sent heartbeats and then sends none any more, nor anything else. The run is
 * Running, or its process was to try it again by itself, for no worker is offered such a run.
 */
import { isPassing, readJson } from "#db/database";
import { type Micros, SECOND, timeOfId } from "#lib/clock";
import { inHalves } from "#lib/halving";
import { log } from "#lib/log";
import { type DueRow, seeToDue } from "#services/due";
import { type Heartbeat, heartbeatInterval, SHORTEST_INTERVAL } from "#services/heartbeats";
import { forEachRun, proposeState, type RowKey } from "#services/kit";
import { lastHeardOf, type Signs } from "#services/signs-of-life";
import { selectBoth, selectHeartbeats, selectOverdueRetries, selectSilent } from "#services/sweep-store";
import { HOUR, listeningSince, overduePeriod } from "#services/turns";
import type { SweepTools, Tools } from "#tools";

interface SilentRun extends DueRow, Signs {
  state_id: string;
  /** When the run was to be tried again; null for a running run. */
  due: Micros | null;
}

interface Zombie extends RowKey {
  state_id: string;
  message: string;
}

/** The time of the turn, and the time since which this server listens. */
interface Watch {
  now: Micros;
  listening: Micros;
}

/**
 * Crashes the runs that have sent heartbeats and then missed some, and were not heard of otherwise either. Silence counts from
 * when this server began to listen, so that no run crashes because the server was down.
 */
export async function crashZombies(tools: SweepTools): Promise<void> {
  const now = tools.clock();
  // No zombie is silent for a shorter time than one with the shortest interval.
  const since = now - tools.settings.services.zombies.missed_heartbeats * SHORTEST_INTERVAL;
  const watch = { now, listening: await listeningSince(tools, "zombies", now) };
  // Retries that nobody begins stay overdue.
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

/** The silent runs of which a heartbeat was to come by now, with the message of their crash. */
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

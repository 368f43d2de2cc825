/**
 * Runs whose process is gone: they have sent heartbeats, and then send none any more, nor anything else. Running ones, and those
 * whose process was to try them again by itself, for no worker is offered these.
 */
import { sql } from "drizzle-orm";
import { deployment } from "#db/tables/deployment";
import { event_resource, event_segment } from "#db/tables/event";
import { flow_run } from "#db/tables/flow-run";
import { isPassing, readJson } from "#db/database";
import { jsonValue } from "#db/json-column";
import { timeOfId } from "#events/ordered-ids";
import { heartbeatPrefix, hourOf } from "#events/segments";
import type { ServicesSettings } from "#env";
import type { Micros } from "#lib/clock";
import { inHalves } from "#lib/halving";
import { onlyWhile } from "#orchestration/only-while";
import { CoreFlowPolicy } from "#orchestration/policies";
import { setFlowRunState } from "#orchestration/set-flow-run-state";
import { forEachRun, inRounds } from "#services/by-workspace";
import { type Heartbeat, heartbeatInterval, LOOK_BACK, MOST_HEARTBEATS, SHORTEST_INTERVAL } from "#services/heartbeats";
import { listeningSince } from "#services/listening";
import { isSilentSince, lastHeardOf, SIGNS, type Signs } from "#services/signs-of-life";
import { HOUR, isFirstOfHour } from "#services/turns";
import type { Tools } from "#tools";
import { each } from "#db/sql";
import { log } from "#lib/log";

/** How many silent runs are looked at at a time, and how often in one turn. */
const AT_ONCE = 1_000;
const ROUNDS = 5;
const SECOND: Micros = 1_000_000;
type Settings = ServicesSettings["zombies"];

/**
 * Crashes the runs that have sent heartbeats and then missed some, and were not heard of otherwise either. Silence is
 * counted from when this server began to listen, so that nobody dies of its being down.
 */
export async function crashZombies(tools: Tools): Promise<void> {
  const settings = tools.settings.services.zombies;
  const now = tools.clock();
  const silence = shortestSilence(settings);
  const watch = { now, since: await listeningSince(tools, "zombies", now) };
  await crashSilent(tools, await tools.db.rows<SilentRun>(selectOverdueRetries(silence, now)), watch);
  await inRounds<SilentRun>(
    { atOnce: AT_ONCE, rounds: ROUNDS },
    (before) => tools.db.rows(selectSilent(silence, now, before.at(-1))),
    (silent) => crashSilent(tools, silent, watch),
  );
}

/** What time it is, and since when this server listens. */
interface Watch {
  now: Micros;
  since: Micros;
}

async function crashSilent(tools: Tools, silent: readonly SilentRun[], watch: Watch): Promise<void> {
  await inHalves(
    silent,
    async (some) => forEachRun(tools, await findZombies(tools, some, watch), crash),
    async ({ id }, error) =>
      log(tools, "error", "the heartbeats of a run could not be read", { flow_run_id: id, error }),
    { isPassing },
  );
}

/** No zombie is silent for less, however often it sent heartbeats. */
function shortestSilence(settings: Settings): Micros {
  return settings.missed_heartbeats * SHORTEST_INTERVAL;
}

interface Key {
  workspace_id: string;
  id: string;
}

interface SilentRun extends Key, Signs {
  state_id: string;
  /** When it is due to be tried again; null for a running run. */
  due: Micros | null;
}

/** The running runs of which nothing was heard for so long: those of the live ones that are not waiting for a time. */
export function selectSilent(silence: Micros, now: Micros, after?: Key) {
  const rest = after ? sql`and (r.workspace_id, r.id) > (${after.workspace_id}, ${after.id})` : sql``;
  return sql`select r.workspace_id, r.id, r.state_id, null as due, ${SIGNS}
    from ${flow_run} r indexed by flow_run_live
    left join ${deployment} d on d.workspace_id = r.workspace_id and d.id = r.deployment_id
    where r.end_time is null and r.next_scheduled_start_time is null and r.state_type = 'RUNNING' ${rest}
      and ${isSilentSince(now - silence, now)}
      and coalesce(${jsonValue("d.reliability", "$.zombie_detection")}, 1)
    order by r.workspace_id, r.id limit ${AT_ONCE}`;
}

/**
 * The runs whose process should have gone on with them so long ago, having waited for the time of a retry. What nobody starts
 * piles up among the runs that are due, so a turn looks at the last hour, and the first turn of each hour at all.
 */
export function selectOverdueRetries(silence: Micros, now: Micros) {
  const until = now - silence;
  const from = isFirstOfHour(now) ? 0 : until - HOUR;
  return sql`select r.workspace_id, r.id, r.state_id, r.next_scheduled_start_time as due, ${SIGNS}
    from ${flow_run} r indexed by flow_run_live
    left join ${deployment} d on d.workspace_id = r.workspace_id and d.id = r.deployment_id
    where r.end_time is null and r.next_scheduled_start_time > ${from} and r.next_scheduled_start_time <= ${until}
      and r.state_name = 'AwaitingRetry' and ${jsonValue("r.empirical_policy", "$.retry_type")} = 'in_process'
      and ${isSilentSince(until, now)}
      and coalesce(${jsonValue("d.reliability", "$.zombie_detection")}, 1)
    order by r.next_scheduled_start_time limit ${AT_ONCE}`;
}

interface Zombie extends Key {
  state_id: string;
  message: string;
}

/** Those among the silent runs that should have been heard of by now. */
async function findZombies(tools: Tools, runs: readonly SilentRun[], { now, since }: Watch): Promise<Zombie[]> {
  if (runs.length === 0) return [];
  const { missed_heartbeats: missed, fallback_heartbeat_interval_seconds: fallback } = tools.settings.services.zombies;
  const found = runs.map((run) => ({ ...run, lastHeard: lastHeardOf(run, now) }));
  const heartbeats = await readHeartbeats(tools, found);
  return found.flatMap(({ workspace_id, id, state_id, state_timestamp, due, lastHeard }, index) => {
    const heard = { heartbeats: heartbeats[index] ?? [], attemptBegan: due ?? state_timestamp, lastHeard };
    const interval = heartbeatInterval(heard, fallback * SECOND);
    if (interval === null || now - Math.max(lastHeard, due ?? 0, since) <= missed * interval) return [];
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

/** The newest heartbeats of each run: the segments that involve it say themselves which they hold. */
async function readHeartbeats(
  { db }: Tools,
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

/** One row for each run, in their order, with pairs of a segment's id and what it says of the heartbeat. */
export function selectHeartbeats(runs: readonly (Key & { lastHeard: Micros })[]) {
  const wanted = runs.map(({ workspace_id, id, lastHeard }) => [
    workspace_id,
    `prefect.flow-run.${id}`,
    hourOf(lastHeard - LOOK_BACK),
    JSON.stringify(heartbeatPrefix(id)).slice(0, -1),
    heartbeatPrefix(id),
  ]);
  return sql`select (
      select json_group_array(json_array(id, entry)) from (
        select c.id, e.value as entry
        from ${event_resource} x
        cross join ${event_segment} c on c.workspace_id = x.workspace_id and c.hour = x.hour and c.id between x.first_id and x.last_id
        cross join json_each(c.resources) e
        where x.workspace_id = w.value ->> 0 and x.resource_id = w.value ->> 1 and x.hour >= w.value ->> 2
          and instr(c.resources, w.value ->> 3) > 0 and instr(e.value, w.value ->> 4) = 1
        order by x.hour desc, x.first_id desc limit ${MOST_HEARTBEATS})
    ) as found
    from ${each(wanted)} w order by w.key`;
}

/** A run that has gone on since it was found is left alone, and so is one that was ended by another turn. */
async function crash(tools: Tools, { id, state_id, message }: Zombie): Promise<void> {
  const policy = onlyWhile(({ initial }) => initial?.id === state_id, CoreFlowPolicy);
  await setFlowRunState(tools, id, { type: "CRASHED", message }, { policy });
}

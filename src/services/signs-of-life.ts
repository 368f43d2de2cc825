/** The time of a run's last sign of life (an event, a log line or a change of its row), and the interval of its heartbeats. */
import { type SQL, sql } from "drizzle-orm";
import { event_resource } from "#db/tables/event";
import { log_segment } from "#db/tables/log";
import { PERIOD } from "#events/segments";
import { earliestId, type Micros, timeOfId } from "#lib/clock";

/** The columns of `SIGNS`. */
export interface Signs {
  state_timestamp: Micros;
  updated: Micros;
  /** The first id of the newest period in which events involve the run. */
  last_event: string | null;
  /** The time on the clock of the process that logged. */
  last_log: Micros | null;
}

const LAST_EVENT = sql`(select x.first_id from ${event_resource} x
  where x.workspace_id = r.workspace_id and x.resource_id = 'prefect.flow-run.' || r.id
  order by x.hour desc, x.first_id desc limit 1)`;

const LAST_LOG = sql`(select l.last_timestamp from ${log_segment} l
  where l.workspace_id = r.workspace_id and l.run_id = r.id order by l.first_timestamp desc limit 1)`;

/** The columns for the time of the last sign of life of the run `r`: two index seeks, one row each. */
export const SIGNS = sql`r.state_timestamp, r.updated, ${LAST_EVENT} as last_event, ${LAST_LOG} as last_log`;

/** Whether the run `r` has given no sign of life since a time. The cheapest conditions come first. */
export function isSilentSince(since: Micros, now: Micros): SQL {
  return sql`r.state_timestamp <= ${since} and r.updated <= ${since}
    and coalesce(${LAST_EVENT}, '') < ${earliestId(since - PERIOD)}
    and coalesce(${LAST_LOG}, 0) not between ${since + 1} and ${now}`;
}

/** The time of the run's last sign of life. A log with a future time does not count, because the clock of its sender is wrong. */
export function lastHeardOf({ state_timestamp, updated, last_event, last_log }: Signs, now: Micros): Micros {
  const event = last_event === null ? 0 : Math.min(now, timeOfId(last_event) + PERIOD);
  return Math.max(state_timestamp, updated, event, last_log !== null && last_log <= now ? last_log : 0);
}

/** A heartbeat: when this server wrote it, and when it was sent, by the sender's clock. */
export interface Heartbeat {
  written: Micros;
  occurred: Micros;
}

/** How many of the last heartbeats are read. */
export const MOST_HEARTBEATS = 6;
/** How long before the run's last sign of life the search for heartbeats begins. */
export const LOOK_BACK: Micros = 2 * 3_600_000_000;
/** Prefect: `MINIMUM_HEARTBEAT_INTERVAL`; no client sends heartbeats more often. */
export const SHORTEST_INTERVAL: Micros = 30_000_000;

/** The input for the computation of the interval. */
export interface Heard {
  /** The newest heartbeats of about the last two hours before `lastHeard`, in any order. */
  heartbeats: readonly Heartbeat[];
  /** When the present attempt began. Each attempt starts a new series of heartbeats. */
  attemptBegan: Micros;
  /** The time of the run's last sign of life. */
  lastHeard: Micros;
}

/**
 * The interval of a run's heartbeats, or null if the run has sent none. The interval is the median of the times between the last
 * heartbeats of this attempt. The times are from the sender's clock, so a break in the connection does not change the interval. With a
 * single heartbeat in this attempt, the interval is `fallback`, or longer if earlier attempts had a longer interval.
 */
export function heartbeatInterval({ heartbeats, attemptBegan, lastHeard }: Heard, fallback: Micros): Micros | null {
  if (heartbeats.length === 0) return null;
  const own = intervals(heartbeats.filter(({ written }) => written >= attemptBegan));
  const middle = own[Math.floor(own.length / 2)];
  if (middle !== undefined) return Math.max(SHORTEST_INTERVAL, middle);
  const earlier = intervals(heartbeats).at(-1) ?? 0;
  // The attempt has sent a single heartbeat in more than `LOOK_BACK`, so the interval is at least `LOOK_BACK`.
  const isRare = attemptBegan < lastHeard - LOOK_BACK;
  return Math.max(fallback, earlier, isRare ? LOOK_BACK : 0);
}

/** The times between heartbeats, the shortest first. */
function intervals(heartbeats: readonly Heartbeat[]): Micros[] {
  const times = heartbeats.map(({ occurred }) => occurred).toSorted((a, b) => a - b);
  return times
    .slice(1)
    .map((time, index) => time - (times[index] ?? time))
    .toSorted((a, b) => a - b);
}

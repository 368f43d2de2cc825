/** How often a run sends heartbeats, learnt from the heartbeats that it has sent. Pure. */
import type { Micros } from "#lib/clock";

/** A heartbeat: the time at which this server wrote it, and the time at which it was sent, by the clock of its sender. */
export interface Heartbeat {
  written: Micros;
  occurred: Micros;
}

/** How many of the last heartbeats are looked at. */
export const MOST_HEARTBEATS = 6;
/** How long before the run was last heard of the search for heartbeats begins. */
export const LOOK_BACK: Micros = 2 * 3_600_000_000;
/** Prefect: `MINIMUM_HEARTBEAT_INTERVAL`, no client sends heartbeats more often. */
export const SHORTEST_INTERVAL: Micros = 30_000_000;

/** What the interval is learnt from. */
export interface Heard {
  /** The newest heartbeats of about the last two hours before `lastHeard`, in any order. */
  heartbeats: readonly Heartbeat[];
  /** When the present attempt began: each attempt begins its heartbeats anew. */
  attemptBegan: Micros;
  /** When the run was last heard of. */
  lastHeard: Micros;
}

/**
 * The interval of a run's heartbeats, or null where the run has sent none. It is the median of the times between the last
 * heartbeats of this attempt, by the sender's clock, so that a break in the connection does not change it. An attempt with a
 * single heartbeat has no such time: its interval is `fallback`, or longer where earlier attempts had a longer one.
 */
export function heartbeatInterval({ heartbeats, attemptBegan, lastHeard }: Heard, fallback: Micros): Micros | null {
  if (heartbeats.length === 0) return null;
  const own = intervals(heartbeats.filter(({ written }) => written >= attemptBegan));
  const middle = own[Math.floor(own.length / 2)];
  if (middle !== undefined) return Math.max(SHORTEST_INTERVAL, middle);
  const earlier = intervals(heartbeats).at(-1) ?? 0;
  // The attempt has sent a single heartbeat in more than `LOOK_BACK`, so the interval is at least as long.
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

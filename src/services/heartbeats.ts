/** How often a run sends heartbeats, learnt from those that it has sent; and how long it may therefore be silent. Pure. */
import type { Micros } from "#lib/clock";

/** A heartbeat: when it was written here, and when it was sent by its sender's own clock. */
export interface Heartbeat {
  written: Micros;
  occurred: Micros;
}

/** How many of the last heartbeats are looked at. */
export const MOST_HEARTBEATS = 6;
/** How far back heartbeats are looked for from when the run was last heard of. */
export const LOOK_BACK: Micros = 2 * 3_600_000_000;
/** Prefect: `MINIMUM_HEARTBEAT_INTERVAL`, no client sends them more often. */
export const SHORTEST_INTERVAL: Micros = 30_000_000;

/** What the interval is learnt from. */
export interface Heard {
  /** The newest heartbeats, in any order; all of the last two hours at most. */
  heartbeats: readonly Heartbeat[];
  /** Since when the run is Running: each attempt begins its heartbeats anew. */
  attemptBegan: Micros;
  /** Until when heartbeats were looked for. */
  lastHeard: Micros;
}

/**
 * The interval of a run's heartbeats, or null where it has sent none. It is the one in the middle of those between the last
 * heartbeats of this attempt, by the sender's clock: neither heartbeats that arrive together after a break nor the break
 * itself change it. Where there is only one, nothing is known but that it is not `fallback` that is too short.
 */
export function heartbeatInterval({ heartbeats, attemptBegan, lastHeard }: Heard, fallback: Micros): Micros | null {
  if (heartbeats.length === 0) return null;
  const own = intervals(heartbeats.filter(({ written }) => written >= attemptBegan));
  const middle = own[Math.floor(own.length / 2)];
  if (middle !== undefined) return Math.max(SHORTEST_INTERVAL, middle);
  const earlier = intervals(heartbeats).at(-1) ?? 0;
  // Others would have come into sight, were they sent more often.
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

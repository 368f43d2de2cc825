/** Ids of version 7, which are in the order of time, as the ends of ranges. */
import type { Window } from "#events/filter";
import type { Micros } from "#lib/clock";

/** Gives the smallest id of version 7 of this time: smaller ids are older. */
export function earliestId(at: Micros): string {
  const hex = Math.max(0, Math.floor(at / 1000))
    .toString(16)
    .padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}

/** Gives the time at which an ordered id was made, to the millisecond. */
export function timeOfId(id: string): Micros {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) * 1000;
}

/** How far the clock of a client that makes ids may be ahead, and how long it may take until an event is written. */
const AHEAD: Micros = 2_000_000;
const ON_ITS_WAY: Micros = 10_000_000;
/** How many periods there are at most. */
const MAX_PERIODS = 200;

/** Gives the periods in which events with these ids were written, in order. Ids of other versions than 7 have no time and give none. */
export function periodsOf(ids: readonly string[]): Window[] {
  const times = ids
    .filter((id) => id[14] === "7")
    .map(timeOfId)
    .toSorted((a, b) => a - b);
  for (let gap = ON_ITS_WAY; ; gap *= 4) {
    const periods: Window[] = [];
    for (const time of times) {
      const last = periods.at(-1);
      if (last && time - AHEAD <= last.until + gap) last.until = time + ON_ITS_WAY;
      else periods.push({ since: time - AHEAD, until: time + ON_ITS_WAY });
    }
    if (periods.length <= MAX_PERIODS) return periods;
  }
}

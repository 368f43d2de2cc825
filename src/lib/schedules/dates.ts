/** The moments of a schedule within a window, with the original's bounds. */
import type { Micros } from "#lib/clock";

/** How many moments are wanted, and up to which time. */
export interface Window {
  end: Micros;
  minRuns: number;
  maxRuns: number;
  /** The search goes on at least to this time. */
  until: Micros;
}

/** Gives the moments in the window: as few as meet `minRuns` and `until`, and never more than `maxRuns`. */
export function momentsWithin(moments: Iterable<Micros>, { end, minRuns, maxRuns, until }: Window): Micros[] {
  const found = new Set<Micros>();
  let looked = 0;
  for (const moment of moments) {
    if (moment > end || looked++ > MAX_LOOKS) break;
    found.add(moment);
    if (found.size >= maxRuns || (found.size >= minRuns && moment >= until)) break;
  }
  return [...found];
}

/** Prefect: MAX_ITERATIONS, how many candidates one search looks at. */
const MAX_LOOKS = 1000;

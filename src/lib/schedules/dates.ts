/** The moments of a schedule within a window, by the original's bounds. */
import type { Micros } from "#lib/clock";

/** How many moments are wanted, and until when. */
export interface Window {
  end: Micros;
  minRuns: number;
  maxRuns: number;
  /** Go on at least until here. */
  until: Micros;
}

/** The moments that are due within the window: as few as satisfy both minimums, never more than the most. */
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

/** Prefect: MAX_ITERATIONS, candidates looked at in one go. */
const MAX_LOOKS = 1000;

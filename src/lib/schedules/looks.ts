/** The bounds of a search for dates: how many candidates it passes (a schedule may exclude all of them), and how many dates it returns. */
import type { Micros } from "#lib/clock";

/** How many candidates one search may pass: the days of 500 years, or the minutes of 3 months. */
const OF_ONE_SEARCH = 400_000;

/** How many candidates a search, or several searches together, may still pass. A look is one candidate. */
export class Looks {
  /** How many looks were taken, including the looks of the parts. */
  taken = 0;
  private left: number;
  private readonly whole: Looks | undefined;

  constructor(left = OF_ONE_SEARCH, whole?: Looks) {
    this.left = left;
    this.whole = whole;
  }

  /** Whether more looks were taken than allowed, here or in the whole. */
  get areSpent(): boolean {
    return this.left < 0 || (this.whole?.areSpent ?? false);
  }

  /** Takes looks. Returns false if too few are left. Then the search has to end. */
  take(count = 1): boolean {
    this.taken += count;
    this.left -= count;
    const isLeft = this.whole?.take(count) ?? true;
    return isLeft && this.left >= 0;
  }

  /** Returns the looks of one part of the work, so that other parts keep theirs. They also count for the whole. */
  part(count: number): Looks {
    return new Looks(Math.floor(count), this);
  }

  /** Returns the looks of one search among several. */
  forOneSearch(): Looks {
    return this.part(OF_ONE_SEARCH);
  }
}

/** How many moments are wanted, and up to which time. */
export interface Window {
  end: Micros;
  minRuns: number;
  maxRuns: number;
  /** The search continues at least to this time. */
  until: Micros;
}

/** Returns the moments in the window: the fewest that meet `minRuns` and `until`, and never more than `maxRuns`. */
export function momentsWithin(moments: Iterable<Micros>, { end, minRuns, maxRuns, until }: Window): Micros[] {
  const found = new Set<Micros>();
  let looked = 0;
  for (const moment of moments) {
    if (moment > end || looked++ > MAX_MOMENTS) break;
    found.add(moment);
    if (found.size >= maxRuns || (found.size >= minRuns && moment >= until)) break;
  }
  return [...found];
}

/** Prefect: MAX_ITERATIONS, how many moments one search checks. */
const MAX_MOMENTS = 1000;

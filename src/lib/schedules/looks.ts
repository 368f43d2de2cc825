/** A bound on what a search for dates looks at: a schedule may pass over dates without end before it yields one. */

/** How many candidates one search looks at: days for 500 years, or minutes for 3 months. */
const OF_ONE_SEARCH = 400_000;

/** The looks that a search, or several together, have left. */
export class Looks {
  /** How many were taken, those of the parts included. */
  taken = 0;
  private left: number;
  private readonly whole: Looks | undefined;

  constructor(left = OF_ONE_SEARCH, whole?: Looks) {
    this.left = left;
    this.whole = whole;
  }

  /** Whether more was asked for than there was, here or in the whole. */
  get areSpent(): boolean {
    return this.left < 0 || (this.whole?.areSpent ?? false);
  }

  /** Takes looks. Returns false where there are not so many; the search must end then. */
  take(count = 1): boolean {
    this.taken += count;
    this.left -= count;
    const isLeft = this.whole?.take(count) ?? true;
    return isLeft && this.left >= 0;
  }

  /** Looks for a part of the work, so that it does not use up what the others need. They are taken from these as well. */
  part(count: number): Looks {
    return new Looks(Math.floor(count), this);
  }

  /** Looks for one search among several. */
  forOneSearch(): Looks {
    return this.part(OF_ONE_SEARCH);
  }
}

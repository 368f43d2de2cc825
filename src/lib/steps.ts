/** A bound on work that users' values ask for: what is done is counted, and ends at a number, not at a time. */

/** More steps were asked for than may be spent. */
export class TooManySteps extends Error {}

/** Steps that may still be spent. */
export class Steps {
  readonly most: number;
  #left: number;

  constructor(most: number) {
    this.most = most;
    this.#left = most;
  }

  /** Counts steps before they are done. Throws `TooManySteps` where they are more than are left. */
  spend(count: number): void {
    this.#left -= count;
    if (this.#left < 0) throw new TooManySteps(`More than ${this.most.toLocaleString("en-US")} steps are needed.`);
  }
}

/** A bound on the work for users' values. The bound counts steps, not time. */

/** The work needs more steps than are left. */
export class TooManySteps extends Error {}

/** Steps that may still be spent. */
export class Steps {
  readonly most: number;
  #left: number;

  constructor(most: number) {
    this.most = most;
    this.#left = most;
  }

  /** Counts steps before they are done. Throws `TooManySteps` if fewer are left. */
  spend(count: number): void {
    this.#left -= count;
    if (this.#left < 0) throw new TooManySteps(`More than ${this.most.toLocaleString("en-US")} steps are needed.`);
  }
}

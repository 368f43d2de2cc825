/** Bounds how many pieces of work are done at once. They begin in the order in which they come. */
export class Turns {
  private free: number;
  private readonly waiting: (() => void)[] = [];

  constructor(atOnce: number) {
    this.free = atOnce;
  }

  /** Does a piece of work when its turn has come. */
  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.free > 0) this.free -= 1;
    else await new Promise<void>((begin) => this.waiting.push(begin));
    try {
      return await work();
    } finally {
      // The place goes to the work that waits longest. It is not free in between, so no later work can take it.
      const next = this.waiting.shift();
      if (next) next();
      else this.free += 1;
    }
  }
}

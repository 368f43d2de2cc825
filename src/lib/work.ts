/** Long work in pieces, between which the process handles its other requests. */

/** How many bytes of JSON are read or written in one piece: about 15 ms of work. */
const MAX_BYTES_AT_ONCE = 1_000_000;

/** The work of one request. */
export class Work {
  private bytes = 0;

  /** Counts work, in bytes of JSON that are read or written. Waits a moment if there was much. */
  async add(bytes: number): Promise<void> {
    this.bytes += bytes;
    if (this.bytes < MAX_BYTES_AT_ONCE) return;
    // A timer lets the process handle its other requests. Waiting for an answer of the database does not.
    await scheduler.wait(1);
    this.bytes = 0;
  }
}

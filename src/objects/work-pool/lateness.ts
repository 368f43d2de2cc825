/** Marks the runs of a pool late that did not start in time, by the timer `late`. */
import { parseSettings } from "#env";
import { type Micros, SECOND } from "#lib/clock";
import type { SluiceObject } from "#objects/base";
import type { PoolState } from "#objects/work-pool/pool-state";
import { markLate } from "#orchestration/mark-late";

/** How many runs are marked late at a time. */
const LATE_AT_ONCE = 100;

export class Lateness {
  /** The time to which the timer was last set, or null. */
  timerAt: Micros | null = null;
  private readonly object: SluiceObject;

  constructor(object: SluiceObject) {
    this.object = object;
  }

  /** Marks the runs that are late now. Other calls are not blocked, so callers may report runs meanwhile. */
  async mark(state: PoolState): Promise<void> {
    const { enabled, after_seconds } = this.settings();
    if (!enabled) return;
    // A notice of these runs meanwhile must not set the timer again.
    this.timerAt = 0;
    const overdue = state.runs.ledger.overdue(this.object.clock() - after_seconds * SECOND, LATE_AT_ONCE);
    const ids = overdue.map(({ id }) => id);
    try {
      await markLate(this.object.tools(), ids);
    } finally {
      // The runs count as handled even after a failure. Then the cron marks the runs, and this timer does not fire again and again.
      state.runs.noteLate(overdue);
      this.timerAt = null;
    }
    await this.arm(state);
  }

  /** Sets the timer to the time at which the first run will be late. Without a due run, no timer is set. */
  async arm(state: PoolState): Promise<void> {
    const due = state.runs.ledger.nextNotLate;
    const { enabled, after_seconds } = this.settings();
    if (due === null || !enabled) return;
    const at = due + after_seconds * SECOND;
    if (this.timerAt !== null && this.timerAt <= at) return;
    this.timerAt = at;
    await this.object.setTimerBy("late", at);
  }

  private settings() {
    return parseSettings(this.object.bindings).services.late_runs;
  }
}

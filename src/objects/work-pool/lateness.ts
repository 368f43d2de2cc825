/** Marks late the runs of a pool that were not started in time, by the timer `late`. */
import type { ServicesSettings } from "#env";
import type { Clock, Micros } from "#lib/clock";
import type { PoolState } from "#objects/work-pool/pool-state";
import { markLate } from "#orchestration/mark-late";
import type { Tools } from "#tools";

const SECOND: Micros = 1_000_000;
/** How many runs are marked late at a time. */
const LATE_AT_ONCE = 100;

/** What lateness needs of its object. */
export interface LatenessHost {
  clock: Clock;
  tools(): Tools;
  settings(): ServicesSettings;
  setTimerBy(name: "late", at: Micros): Promise<void>;
}

export class Lateness {
  private readonly host: LatenessHost;
  /** The time that the timer is known to be set to. */
  private timerAt: Micros | null = null;

  constructor(host: LatenessHost) {
    this.host = host;
  }

  /** Marks the runs that are late by now. It takes no turn, so callers may tell of runs meanwhile. */
  async mark(state: PoolState): Promise<void> {
    const { enabled, after_seconds } = this.host.settings().late_runs;
    if (!enabled) return;
    // A notice of these runs meanwhile must not set the timer for them again.
    this.timerAt = 0;
    const overdue = state.runs.ledger.overdue(this.host.clock() - after_seconds * SECOND, LATE_AT_ONCE);
    try {
      await markLate(
        this.host.tools(),
        overdue.map(({ id }) => id),
      );
    } finally {
      // Dealt with even if it failed: the cron marks the runs then, and this timer does not come again and again.
      state.runs.noteLate(overdue);
      this.timerAt = null;
    }
    await this.arm(state);
  }

  /** Sets the timer for when the first run will be late; with no run that is due, none is set. */
  async arm(state: PoolState): Promise<void> {
    const due = state.runs.ledger.nextNotLate;
    const { enabled, after_seconds } = this.host.settings().late_runs;
    if (due === null || !enabled) return;
    const at = due + after_seconds * SECOND;
    if (this.timerAt !== null && this.timerAt <= at) return;
    this.timerAt = at;
    await this.host.setTimerBy("late", at);
  }

  /** The timers were forgotten. */
  reset(): void {
    this.timerAt = null;
  }
}

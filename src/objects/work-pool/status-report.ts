/** Writes to D1 the status changes of a pool and its queues, by the timer `change`. */
import { parseSettings } from "#env";
import type { Micros } from "#lib/clock";
import { type SluiceObject, TIMER_RETRY } from "#objects/base";
import type { PoolState } from "#objects/work-pool/pool-state";
import type { Reconciler } from "#objects/work-pool/reconciler";
import { reportStatuses } from "#objects/work-pool/repair";

export class StatusReport {
  private readonly object: SluiceObject;
  private readonly pool: Reconciler;
  /** The time that the timer is known to be set to. */
  private timerAt: Micros | null = null;

  constructor(object: SluiceObject, pool: Reconciler) {
    this.object = object;
    this.pool = pool;
  }

  /** Tells D1 of the status changes, and sets the timer for the next one. */
  async send(): Promise<void> {
    const now = this.object.clock();
    // If this fails, the timer comes again by itself; polls must not set it earlier.
    this.timerAt = now + TIMER_RETRY;
    const state = await this.pool.ready();
    if (!state) return;
    if (this.isForemanEnabled()) state.settle(now);
    const { changes, unmarked } = state.unreported();
    if (changes.length + unmarked.length > 0) {
      const report = { changes, unmarked, queues: state.queues };
      await reportStatuses(this.object.tools(), this.pool.name, report, now);
      const ready = changes.filter(({ status }) => status === "READY").map(({ subject }) => subject);
      state.reported(changes, [...ready, ...unmarked.map(({ id }) => id)]);
    }
    this.timerAt = null;
    await this.arm(state, this.object.clock());
  }

  /** Sets the timer for the next status change, or for now where D1 is behind. */
  async arm(state: PoolState, now: Micros): Promise<void> {
    const { changes, unmarked } = state.unreported();
    const nextChange = this.isForemanEnabled() ? state.nextChange() : null;
    const at = changes.length + unmarked.length > 0 ? now : nextChange;
    if (at === null || (this.timerAt !== null && this.timerAt <= at)) return;
    this.timerAt = at;
    await this.object.setTimerBy("change", at);
  }

  private isForemanEnabled(): boolean {
    return parseSettings(this.object.bindings).services.foreman.enabled;
  }

  /** The timers were forgotten. */
  reset(): void {
    this.timerAt = null;
  }
}

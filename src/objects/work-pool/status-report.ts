/** Writes to D1 the status changes of a pool and its queues, by the timer `change`. */
import type { ServicesSettings } from "#env";
import type { Clock, Micros } from "#lib/clock";
import { TIMER_RETRY } from "#objects/base";
import type { PoolState } from "#objects/work-pool/pool-state";
import type { Reconciler } from "#objects/work-pool/reconciler";
import { reportStatuses } from "#objects/work-pool/repair";
import type { Tools } from "#tools";

/** What the report needs of its object. */
export interface StatusReportHost {
  clock: Clock;
  pool: Pick<Reconciler, "ready">;
  tools(): Tools;
  poolName(): string;
  settings(): ServicesSettings;
  setTimerBy(name: "change", at: Micros): Promise<void>;
}

export class StatusReport {
  private readonly host: StatusReportHost;
  /** The time that the timer is known to be set to. */
  private timerAt: Micros | null = null;

  constructor(host: StatusReportHost) {
    this.host = host;
  }

  /** Tells D1 of the status changes, and sets the timer for the next one. */
  async send(): Promise<void> {
    const now = this.host.clock();
    // If this fails, the timer comes again by itself; polls must not set it earlier.
    this.timerAt = now + TIMER_RETRY;
    const state = await this.host.pool.ready();
    if (!state) return;
    if (this.host.settings().foreman.enabled) state.settle(now);
    const { changes, unmarked } = state.unreported();
    if (changes.length + unmarked.length > 0) {
      const report = { changes, unmarked, queues: state.queues };
      await reportStatuses(this.host.tools(), this.host.poolName(), report, now);
      const ready = changes.filter(({ status }) => status === "READY").map(({ subject }) => subject);
      state.reported(changes, [...ready, ...unmarked.map(({ id }) => id)]);
    }
    this.timerAt = null;
    await this.arm(state, this.host.clock());
  }

  /** Sets the timer for the next status change, or for now where D1 is behind. */
  async arm(state: PoolState, now: Micros): Promise<void> {
    const { changes, unmarked } = state.unreported();
    const nextChange = this.host.settings().foreman.enabled ? state.nextChange() : null;
    const at = changes.length + unmarked.length > 0 ? now : nextChange;
    if (at === null || (this.timerAt !== null && this.timerAt <= at)) return;
    this.timerAt = at;
    await this.host.setTimerBy("change", at);
  }

  /** The timers were forgotten. */
  reset(): void {
    this.timerAt = null;
  }
}

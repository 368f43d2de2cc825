/** Builds the state of a pool's object from D1, and corrects it. Reads of D1 run one after the other. */
import { type Micros, SECOND, systemIds } from "#lib/clock";
import { Turns } from "#lib/turns";
import type { SluiceObject } from "#objects/base";
import type { LedgerRun } from "#objects/work-pool/ledger";
import type { Phase } from "#objects/work-pool/messages";
import { type Config, PoolState } from "#objects/work-pool/pool-state";
import { LivePoolStore } from "#resources/work-pools/live-store";

/** How often D1 is checked while the pool has runs or is polled. */
const CHECK_EVERY = 120 * SECOND;
/** How far ahead a check reads. A later check finds the runs that are due later. */
const CHECK_AHEAD = 600 * SECOND;
/** A pool is quiet if a check found no run with a slot, and none that is due in this time. The next check comes long before its end. */
const QUIET = 2 * CHECK_EVERY;

/** What the object's other components do after a read of D1. */
export interface ReadHooks {
  /** Sets the timers for status changes and for lateness. */
  arm(state: PoolState, now: Micros): Promise<void>;
  /** The pool was read again. `updated` is the time of its last change. */
  poolRead(updated: Micros): Promise<void>;
  /** The pool no longer exists. */
  poolGone(): void;
}

export class Reconciler {
  /** The present state, or null. Only the reconciler changes it. */
  state: PoolState | null = null;
  /** Reads of D1 run one at a time, so that an older read never overwrites a newer one. */
  readonly reads = new Turns(1);
  private readonly object: SluiceObject;
  private readonly hooks: ReadHooks;
  private building: Promise<void> | null = null;
  /** The read of the runs after an eviction, while it is in progress. */
  readingRuns: Promise<void> | null = null;
  /** The runs that callers reported during a read of the runs. A report is newer than the read. */
  private told: Set<string> | null = null;
  private checkedAt: Micros = 0;
  /** Whether the pool was quiet at the last check, and still is. Stored, so that a poll after an eviction reads nothing from D1. */
  private isQuiet = false;

  constructor(object: SluiceObject, hooks: ReadHooks) {
    this.object = object;
    this.hooks = hooks;
  }

  /** The name of the pool. */
  get name(): string {
    return this.object.identity().name ?? "";
  }

  /** Whether D1 was read, or is being read. */
  isBuilt(): boolean {
    return this.building !== null || this.object.readMeta("built") !== null;
  }

  /** The state of the pool. Read from D1 if it is not known, or if the known pool has another id. Null if the pool does not exist. */
  async ready(poolId?: string): Promise<PoolState | null> {
    if (!this.state) await this.build();
    if (poolId !== undefined && this.state?.pool?.id !== poolId) await this.readAgain();
    const { state } = this;
    return state?.pool && (poolId === undefined || state.pool.id === poolId) ? state : null;
  }

  /** The result of `ready`. The pool is read again if this queue is not known. */
  async readyWith(queueId: string, poolId: string): Promise<PoolState | null> {
    const state = await this.ready(poolId);
    if (!state || state.queues.has(queueId)) return state;
    await this.readAgain();
    return this.ready(poolId);
  }

  /** Reads pool and queues again, after the reads that already wait. */
  readAgain(): Promise<void> {
    return this.reads.take(() => this.readNow());
  }

  /** Makes the runs of the pool known that have slots or are due soon. After an eviction they are read from D1. */
  async knowRuns(poolId?: string): Promise<void> {
    const state = await this.ready(poolId);
    if (state?.runs.known !== "none") return;
    this.readingRuns ??= this.reads
      .take(async () => {
        // Another read may have been earlier.
        if (this.state?.runs.known === "none") await this.readRuns(this.state, "soon");
      })
      .finally(() => {
        this.readingRuns = null;
      });
    await this.readingRuns;
  }

  /** Records that a caller has reported a run. */
  noteTold(runId: string, phase: Phase): void {
    this.told?.add(runId);
    const isFarOff = phase === null || (typeof phase === "number" && phase > this.checkedAt + QUIET);
    if (isFarOff || !this.isQuiet) return;
    this.isQuiet = false;
    this.writeChecked();
  }

  /** Sets the timer for a check if the last check is long ago. */
  async checkIfStale(now: Micros): Promise<void> {
    if (now - this.checkedAt > CHECK_EVERY) await this.object.setTimerBy("check", now);
  }

  /** Corrects the state from D1: the pool, its queues, the runs with slots, and the runs that are due soon. */
  check(): Promise<void> {
    return this.reads.take(async () => {
      await this.readNow();
      if (this.state) await this.readRuns(this.state, this.state.runs.known === "all" ? "soon" : "all");
    });
  }

  private async build(): Promise<void> {
    if (this.wake()) return;
    this.building ??= this.reads
      .take(() => this.buildNow())
      .finally(() => {
        this.building = null;
      });
    await this.building;
  }

  /** Reads the object's own tables if they are complete. Returns the state after that. */
  private wake(): PoolState | null {
    if (this.state || this.object.readMeta("built") === null) return this.state;
    const state = new PoolState(this.object.storage, systemIds());
    state.load();
    const [checked, quiet] = (this.object.readMeta("checked") ?? "").split(" ");
    this.checkedAt = Number(checked);
    this.isQuiet = quiet === "quiet";
    if (this.isQuiet) state.runs.known = "soon";
    this.state = state;
    return state;
  }

  private async buildNow(): Promise<void> {
    if (this.wake()) return;
    const config = await this.readConfig();
    if (!config) return;
    const queueIds = config.queues.map(({ id }) => id);
    const runs = await this.readLiveRuns(queueIds, null);
    const now = this.object.clock();
    this.object.keepIdentity();
    const state = new PoolState(this.object.storage, systemIds());
    state.clear();
    state.setConfig(config, now, true);
    state.runs.reconcile({ at: now, runs, covers: () => true, isOutdated: () => false });
    state.runs.known = "all";
    this.object.writeMeta("built", String(now));
    this.state = state;
    await this.noteChecked(state, now);
  }

  private async readNow(): Promise<void> {
    const state = this.wake();
    if (!state) return this.buildNow();
    const { turn } = state.changes;
    const config = await this.readConfig();
    if (config && config.pool.id === state.pool?.id) {
      const now = this.object.clock();
      state.setConfig(config, now, turn === state.changes.turn);
      await this.hooks.arm(state, now);
      await this.hooks.poolRead(config.pool.updated);
      return;
    }
    this.hooks.poolGone();
    this.state = null;
    this.checkedAt = 0;
    this.isQuiet = false;
    await this.object.forget();
    if (config) await this.buildNow();
  }

  private async readRuns(state: PoolState, reach: "soon" | "all"): Promise<void> {
    const told = (this.told = new Set<string>());
    try {
      const at = this.object.clock();
      const until = reach === "all" ? null : at + CHECK_AHEAD;
      const runs = await this.readLiveRuns([...state.queues.keys()], until);
      const covers = ({ due }: LedgerRun) => due === null || until === null || due <= until;
      state.runs.reconcile({ at, runs, covers, isOutdated: (id) => told.has(id) });
    } finally {
      this.told = null;
    }
    if (state.runs.known !== "all") state.runs.known = reach;
    await this.noteChecked(state, this.object.clock());
    const expiry = state.runs.nextExpiry();
    if (expiry !== null) await this.object.setTimerBy("check", expiry);
  }

  /** Records that the runs match D1, and sets the timers for them. */
  private async noteChecked(state: PoolState, now: Micros): Promise<void> {
    this.checkedAt = now;
    this.isQuiet = state.runs.isQuietUntil(now + QUIET);
    this.writeChecked();
    await this.hooks.arm(state, now);
    if (state.runs.ledger.size > 0) await this.object.setTimerBy("check", now + CHECK_EVERY);
  }

  private writeChecked(): void {
    this.object.writeMeta("checked", this.isQuiet ? `${this.checkedAt} quiet` : String(this.checkedAt));
  }

  private async readConfig(): Promise<Config | null> {
    const config = await new LivePoolStore(this.object.tools()).readConfig(this.name);
    if (!config) return null;
    const flagged = <Row extends { is_paused: number }>(row: Row) => ({ ...row, is_paused: row.is_paused === 1 });
    return { pool: flagged(config.pool), queues: config.queues.map(flagged), unready: config.unready };
  }

  /** The live runs of these queues: all runs with slots, and the runs that are due by `until`, or all due runs. */
  private async readLiveRuns(queueIds: readonly string[], until: Micros | null): Promise<LedgerRun[]> {
    const rows = await new LivePoolStore(this.object.tools()).readLiveRuns(queueIds, until);
    return rows.map(({ id, work_queue_id: queue_id, due, state_name }) => ({
      id,
      queue_id,
      due,
      is_late: due !== null && state_name === "Late",
    }));
  }
}

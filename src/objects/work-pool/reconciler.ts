/** Builds from D1 what a pool's object knows, and corrects it. One read of D1 after the other. */
import { type Micros, SECOND, systemIds } from "#lib/clock";
import { Turns } from "#lib/turns";
import type { SluiceObject } from "#objects/base";
import type { LedgerRun } from "#objects/work-pool/ledger";
import { PoolState } from "#objects/work-pool/pool-state";
import { readConfig, readLiveRuns } from "#objects/work-pool/repair";

/** How often D1 is checked while the pool has runs or is polled. */
const CHECK_EVERY = 120 * SECOND;
/** How far ahead a check looks; runs that are due later are found by a later check. */
const CHECK_AHEAD = 600 * SECOND;

/** What the object's other components do after a read of the pool. */
export interface ReadHooks {
  armStatus(state: PoolState, now: Micros): Promise<void>;
  armLateness(state: PoolState): Promise<void>;
  /** The pool was read again; `updated` is the time of its last change. */
  poolRead(updated: Micros): Promise<void>;
  /** There is no such pool any more. */
  poolGone(): void;
}

export class Reconciler {
  private readonly object: SluiceObject;
  private readonly hooks: ReadHooks;
  private known: PoolState | null = null;
  /** One read of D1 at a time, so that an older read never overwrites a newer one. */
  private readonly reads = new Turns(1);
  private building: Promise<void> | null = null;
  /** Runs that callers told of during a read of D1: their word is newer than the read. */
  private told: Set<string> | null = null;
  private checkedAt: Micros = 0;

  constructor(object: SluiceObject, hooks: ReadHooks) {
    this.object = object;
    this.hooks = hooks;
  }

  /** The name of the pool. */
  get name(): string {
    return this.object.identity().name ?? "";
  }

  /** What is known at this moment, or null. */
  get state(): PoolState | null {
    return this.known;
  }

  /** Whether D1 was read, or is being read. */
  isBuilt(): boolean {
    return this.building !== null || this.object.readMeta("built") !== null;
  }

  /** Does work that reads D1, after the reads that wait already. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.reads.take(work);
  }

  /**
   * What is known of the pool, read from D1 if nothing is; null where there is no such pool. A caller that means another
   * pool of this name has it read again.
   */
  async ready(poolId?: string): Promise<PoolState | null> {
    if (!this.known) await this.build();
    if (poolId !== undefined && this.known?.pool?.id !== poolId) await this.readAgain();
    const state = this.known;
    return state?.pool && (poolId === undefined || state.pool.id === poolId) ? state : null;
  }

  /** What `ready` gives; the pool is read again where this queue is not known. */
  async readyWith(queueId: string, poolId: string): Promise<PoolState | null> {
    const state = await this.ready(poolId);
    if (!state || state.queues.has(queueId)) return state;
    await this.readAgain();
    return this.ready(poolId);
  }

  /** Reads pool and queues again, after the reads that wait already. */
  readAgain(): Promise<void> {
    return this.inTurn(() => this.readNow());
  }

  /** Notes that a caller has told of a run. */
  noteTold(runId: string): void {
    this.told?.add(runId);
  }

  /** Sets the timer for a check where the last check is long ago. */
  async checkIfStale(now: Micros): Promise<void> {
    if (now - this.checkedAt > CHECK_EVERY) await this.object.setTimerBy("check", now);
  }

  /** Corrects what is known by what D1 says: the pool, its queues, the runs that hold slots, and those that are due before long. */
  check(): Promise<void> {
    return this.inTurn(async () => {
      this.told = new Set();
      try {
        await this.readNow();
        if (this.known) await this.checkRuns(this.known, this.told);
      } finally {
        this.told = null;
      }
    });
  }

  private async build(): Promise<void> {
    if (this.wake()) return;
    this.building ??= this.inTurn(() => this.buildNow()).finally(() => {
      this.building = null;
    });
    await this.building;
  }

  /** Takes up what is in the object's own tables, where all of it is; gives it. */
  private wake(): PoolState | null {
    if (this.known || this.object.readMeta("built") === null) return this.known;
    const state = this.emptyState();
    state.load();
    this.checkedAt = Number(this.object.readMeta("checked") ?? 0);
    this.known = state;
    return state;
  }

  private async buildNow(): Promise<void> {
    if (this.wake()) return;
    const tools = this.object.tools();
    const config = await readConfig(tools, this.name);
    if (!config) return;
    const runs = await readLiveRuns(
      tools,
      config.queues.map(({ id }) => id),
      null,
    );
    const now = this.object.clock();
    this.object.keepIdentity();
    const state = this.emptyState();
    state.clear();
    state.setConfig(config, now, true);
    state.runs.reconcile({ at: now, runs, covers: () => true, isOutdated: () => false });
    this.noteChecked(now);
    this.object.writeMeta("built", String(now));
    this.known = state;
    await this.hooks.armStatus(state, now);
    await this.hooks.armLateness(state);
    await this.armCheck(state, now);
  }

  private async readNow(): Promise<void> {
    const state = this.wake();
    if (!state) return this.buildNow();
    const { turn } = state.changes;
    const config = await readConfig(this.object.tools(), this.name);
    if (config && config.pool.id === state.pool?.id) {
      const now = this.object.clock();
      state.setConfig(config, now, turn === state.changes.turn);
      await this.hooks.armStatus(state, now);
      await this.hooks.poolRead(config.pool.updated);
      return;
    }
    this.hooks.poolGone();
    this.known = null;
    this.checkedAt = 0;
    await this.object.forget();
    if (config) await this.buildNow();
  }

  private async checkRuns(state: PoolState, told: ReadonlySet<string>): Promise<void> {
    const at = this.object.clock();
    const until = at + CHECK_AHEAD;
    const runs = await readLiveRuns(this.object.tools(), [...state.queues.keys()], until);
    const covers = ({ due }: LedgerRun) => due === null || due <= until;
    state.runs.reconcile({ at, runs, covers, isOutdated: (id) => told.has(id) });
    const now = this.object.clock();
    this.noteChecked(now);
    await this.armCheck(state, now);
    const expiry = state.runs.nextExpiry();
    if (expiry !== null) await this.object.setTimerBy("check", expiry);
    await this.hooks.armLateness(state);
  }

  private async armCheck({ runs }: PoolState, now: Micros): Promise<void> {
    if (runs.ledger.size > 0) await this.object.setTimerBy("check", now + CHECK_EVERY);
  }

  private noteChecked(now: Micros): void {
    this.checkedAt = now;
    this.object.writeMeta("checked", String(now));
  }

  private emptyState(): PoolState {
    return new PoolState(this.object.storage, systemIds());
  }
}

/** Builds from D1 what a pool's object knows, and corrects it. One read of D1 after the other. */
import { type Micros, SECOND, systemIds } from "#lib/clock";
import { Turns } from "#lib/turns";
import type { SluiceObject } from "#objects/base";
import type { LedgerRun } from "#objects/work-pool/ledger";
import { type Config, PoolState } from "#objects/work-pool/pool-state";
import { LivePoolStore } from "#resources/work-pools/live-store";

/** How often D1 is checked while the pool has runs or is polled. */
const CHECK_EVERY = 120 * SECOND;
/** How far ahead a check looks; runs that are due later are found by a later check. */
const CHECK_AHEAD = 600 * SECOND;

/** What the object's other components do after a read of D1. */
export interface ReadHooks {
  /** Sets the timers for status changes and for lateness. */
  arm(state: PoolState, now: Micros): Promise<void>;
  /** The pool was read again; `updated` is the time of its last change. */
  poolRead(updated: Micros): Promise<void>;
  /** There is no such pool any more. */
  poolGone(): void;
}

export class Reconciler {
  /** What is known at this moment, or null. Changed by the reconciler alone. */
  state: PoolState | null = null;
  /** One read of D1 at a time, so that an older read never overwrites a newer one. */
  readonly reads = new Turns(1);
  private readonly object: SluiceObject;
  private readonly hooks: ReadHooks;
  private building: Promise<void> | null = null;
  /** The runs of which callers told during a check: what the callers said is newer than what the check reads. */
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

  /** Whether D1 was read, or is being read. */
  isBuilt(): boolean {
    return this.building !== null || this.object.readMeta("built") !== null;
  }

  /** The state of the pool, read from D1 if it is not known, or if the known pool has another id; null where there is no such pool. */
  async ready(poolId?: string): Promise<PoolState | null> {
    if (!this.state) await this.build();
    if (poolId !== undefined && this.state?.pool?.id !== poolId) await this.readAgain();
    const { state } = this;
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
    return this.reads.take(() => this.readNow());
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
    return this.reads.take(async () => {
      this.told = new Set();
      try {
        await this.readNow();
        if (this.state) await this.checkRuns(this.state, this.told);
      } finally {
        this.told = null;
      }
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

  /** Reads the object's own tables, if all is in them; gives what is known then. */
  private wake(): PoolState | null {
    if (this.state || this.object.readMeta("built") === null) return this.state;
    const state = new PoolState(this.object.storage, systemIds());
    state.load();
    this.checkedAt = Number(this.object.readMeta("checked") ?? 0);
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
    await this.object.forget();
    if (config) await this.buildNow();
  }

  private async checkRuns(state: PoolState, told: ReadonlySet<string>): Promise<void> {
    const at = this.object.clock();
    const until = at + CHECK_AHEAD;
    const runs = await this.readLiveRuns([...state.queues.keys()], until);
    const covers = ({ due }: LedgerRun) => due === null || due <= until;
    state.runs.reconcile({ at, runs, covers, isOutdated: (id) => told.has(id) });
    await this.noteChecked(state, this.object.clock());
    const expiry = state.runs.nextExpiry();
    if (expiry !== null) await this.object.setTimerBy("check", expiry);
  }

  /** Notes that the runs are those of D1, and sets the timers for them. */
  private async noteChecked(state: PoolState, now: Micros): Promise<void> {
    this.checkedAt = now;
    this.object.writeMeta("checked", String(now));
    await this.hooks.arm(state, now);
    if (state.runs.ledger.size > 0) await this.object.setTimerBy("check", now + CHECK_EVERY);
  }

  private async readConfig(): Promise<Config | null> {
    const config = await new LivePoolStore(this.object.tools()).readConfig(this.name);
    if (!config) return null;
    const flagged = <Row extends { is_paused: number }>(row: Row) => ({ ...row, is_paused: row.is_paused === 1 });
    return { pool: flagged(config.pool), queues: config.queues.map(flagged), unready: config.unready };
  }

  /** The live runs of these queues: all that hold slots, and those that are due by `until`, or all. */
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

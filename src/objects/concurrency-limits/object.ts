/** The `ConcurrencyLimits` object: slots and leases of the limits of one workspace. Their definitions are D1's. */
import { type Clock, type Micros, systemClock } from "#lib/clock";
import { SluiceObject } from "#objects/base";
import { type Asked, Definitions } from "#objects/concurrency-limits/definitions";
import { Ledger, type Limit } from "#objects/concurrency-limits/ledger";
import { Line } from "#objects/concurrency-limits/line";
import type {
  AcquireAnswer,
  AcquireAsk,
  Change,
  ConcurrencyLimitsMethods,
  Holder,
  Lease,
  MinimalLimit,
  Usage,
} from "#objects/concurrency-limits/messages";
import { readEnded, readLimits } from "#objects/concurrency-limits/repair";
import { LEDGER_TABLES, ledgerTables } from "#objects/concurrency-limits/tables";

const SECOND: Micros = 1_000_000;
/** So often the object looks whether the holders of leases that last longer have come to their end. */
const CHECK_EVERY = 300 * SECOND;
/** A lease is taken before the state that wants it is committed: younger ones are left alone. */
const SETTLED_AFTER = 60 * SECOND;
/** A task run that took a slot and was not reported in so long never will be, or was deleted. */
const REPORTED_WITHIN = 86_400 * SECOND;
/** D1 is read again if something was changed meanwhile, but not for ever. */
const READ_TRIES = 3;
/** So many of those who hold slots of a limit are named. */
const MOST_SHOWN = 50;

export class ConcurrencyLimits extends SluiceObject {
  clock: Clock = systemClock();
  private book: Ledger | null = null;
  private definitions = new Definitions();
  private line = new Line();
  /** One read of D1 after the other, so that who waits for one need not read again. */
  private reading: Promise<unknown> = Promise.resolve();
  private timerAt: Micros | null = null;

  override migrations(): readonly string[] {
    return LEDGER_TABLES;
  }

  override methods(): Record<string, (...args: never[]) => unknown> {
    const methods: ConcurrencyLimitsMethods = {
      acquire: (workspace, ask) => this.acquire(workspace, ask),
      keep: (workspace, ask) => this.keep(workspace, ask),
      makeEndless: (workspace, leaseId, holder) => this.makeEndless(workspace, leaseId, holder),
      give: (workspace, names, slots, occupancySeconds) => this.give(workspace, { names, slots, occupancySeconds }),
      release: async (_, leaseId) => this.release(leaseId),
      renew: (workspace, leaseId, seconds) => this.renew(workspace, leaseId, seconds),
      releaseHeld: (workspace, names, holderId) => this.releaseHeld(workspace, names, holderId),
      inUse: async (_, ids) => Object.fromEntries(ids.map((id) => [id, this.ledger().inUse(id, this.clock())])),
      usage: async (_, ids) => Object.fromEntries(ids.map((id) => [id, this.usageOf(id)])),
      taskRuns: async (_, ids) => Object.fromEntries(ids.map((id) => [id, this.taskRunsOn(id)])),
      change: (workspace, change) => this.change(workspace, change),
      remove: async (_, ids) => this.removeLimits(ids),
      reset: (workspace, id, taskRuns) => this.reset(workspace, id, taskRuns),
    };
    return { ...methods };
  }

  override async onTimer(name: string): Promise<void> {
    if (name === "check") return this.check();
    this.timerAt = null;
    this.ledger().expire(this.clock());
    await this.armExpiry();
  }

  /** Ends lasting leases whose holders are over: nobody else would, or not for long. */
  private async check(): Promise<void> {
    const workspace = this.readMeta("workspace");
    const now = this.clock();
    const held = this.ledger()
      .lasting(now + SETTLED_AFTER)
      .filter((lease) => lease.holder !== null && lease.holder.type !== "deployment");
    if (workspace === null || held.length === 0) return;
    const settled = held.filter(({ created }) => created < now - SETTLED_AFTER);
    const holders = settled.flatMap(({ holder }) => (holder ? [holder] : []));
    const isOld = ({ created, expires }: Lease) => expires === null && created < now - REPORTED_WITHIN;
    const old = new Set(settled.flatMap((lease) => (lease.holder && isOld(lease) ? [lease.holder] : [])));
    const ended = new Set(await readEnded(this.toolsOf(workspace), holders, old));
    for (const lease of settled) if (lease.holder && ended.has(lease.holder)) this.endUnchanged(lease);
    await this.setTimerBy("check", toMs(this.clock() + CHECK_EVERY));
  }

  /** Ends a lease, unless it ended and was taken anew while D1 was read. */
  private endUnchanged({ id, created }: Lease): void {
    if (this.ledger().read(id, this.clock())?.created === created) this.release(id);
  }

  /** A lease was taken or renewed: both timers are set for it, unless they are. */
  private async armFor(workspace: string, seconds: number | null): Promise<void> {
    await this.armExpiry();
    if (seconds !== null && seconds * SECOND <= CHECK_EVERY) return;
    if (this.readMeta("workspace") === null) this.writeMeta("workspace", workspace);
    await this.setTimerBy("check", toMs(this.clock() + CHECK_EVERY));
  }

  private async keep(workspace: string, ask: AcquireAsk): Promise<AcquireAnswer> {
    if (ask.lease && (await this.renew(workspace, ask.lease.id, ask.lease.seconds))) return this.heldAlready(ask);
    return this.acquire(workspace, ask);
  }

  private async makeEndless(workspace: string, leaseId: string, holder: Holder): Promise<boolean> {
    const isThere = this.ledger().renew(leaseId, { expires: null, holder }, this.clock());
    if (isThere) await this.armFor(workspace, null);
    return isThere;
  }

  private heldAlready(asked: Asked): AcquireAnswer {
    return { kind: "acquired", limits: this.known(asked).map(minimal), is_held: true };
  }

  private async acquire(workspace: string, ask: AcquireAsk): Promise<AcquireAnswer> {
    const limits = await this.find(workspace, ask);
    // From here to the taking nothing waits.
    const now = this.clock();
    if (ask.lease && this.ledger().read(ask.lease.id, now)) return this.heldAlready(ask);
    const active = limits.filter((limit) => limit.active);
    const tooSmall = active.filter((limit) => limit.limit < ask.slots);
    if (tooSmall.length > 0) return { kind: "too many", limits: tooSmall.map(minimal) };
    const withoutDecay = active.filter((limit) => limit.slot_decay_per_second === 0);
    if (ask.mode === "rate_limit" && withoutDecay.length > 0)
      return { kind: "no decay", limits: withoutDecay.map(minimal) };
    const lease = ask.lease && { ...ask.lease, expires: expiryOf(ask.lease.seconds, now) };
    const full = this.ledger().acquire(limits, { slots: ask.slots, lease }, now);
    if (full.length > 0) return this.refuse(full, ask.slots, now);
    if (ask.lease) await this.armFor(workspace, ask.lease.seconds);
    return { kind: "acquired", limits: limits.map(minimal), is_held: ask.lease !== null && active.length > 0 };
  }

  private refuse(full: readonly Limit[], slots: number, now: Micros): AcquireAnswer {
    const refusals = full.map((limit) => ({
      limit,
      free_in_seconds: limit.slot_decay_per_second > 0 ? this.ledger().freeIn(limit, slots, now) : 0,
    }));
    return { kind: "full", limits: full.map(minimal), retry_after_seconds: this.line.join(refusals, slots, now) };
  }

  private async give(
    workspace: string,
    { names, slots, occupancySeconds }: { names: string[]; slots: number; occupancySeconds: number | null },
  ): Promise<MinimalLimit[]> {
    const limits = await this.find(workspace, { names, ids: [] });
    const now = this.clock();
    for (const limit of limits) {
      if (!limit.active) continue;
      this.ledger().give(limit.id, slots, now);
      if (occupancySeconds !== null) this.line.noteOccupancy(limit.id, limit.limit, occupancySeconds / slots);
    }
    return limits.map(minimal);
  }

  private release(leaseId: string): boolean {
    const now = this.clock();
    const lease = this.ledger().release(leaseId, now);
    for (const { limit_id } of lease?.holds ?? []) {
      const limit = this.definitions.read(limit_id);
      if (lease && limit) this.line.noteOccupancy(limit_id, limit.limit, (now - lease.created) / SECOND / lease.slots);
    }
    return lease !== undefined;
  }

  private async renew(workspace: string, leaseId: string, seconds: number | null): Promise<boolean> {
    const now = this.clock();
    const isRenewed = this.ledger().renew(leaseId, { expires: expiryOf(seconds, now) }, now);
    if (isRenewed) await this.armFor(workspace, seconds);
    return isRenewed;
  }

  private async releaseHeld(workspace: string, names: string[], holderId: string): Promise<MinimalLimit[]> {
    const limits = await this.find(workspace, { names, ids: [] });
    const leases = limits.flatMap(({ id }) => this.ledger().heldOn(id, this.clock()));
    for (const { id, holder } of leases) if (holder?.id === holderId) this.release(id);
    return limits.map(minimal);
  }

  private usageOf(limitId: string): Usage {
    const now = this.clock();
    const leases = this.ledger().heldOn(limitId, now).slice(0, MOST_SHOWN);
    return {
      in_use: this.ledger().inUse(limitId, now),
      leases: leases.map(({ holder, created, expires }) => ({ holder, created, expires })),
    };
  }

  private taskRunsOn(limitId: string): string[] {
    const leases = this.ledger().heldOn(limitId, this.clock());
    return leases.flatMap(({ holder }) => (holder?.type === "task_run" ? [holder.id] : []));
  }

  /** A definition was made or changed: the next who needs one has it read. */
  private async change(workspace: string, { id, active_slots: active, denied_slots: denied }: Change): Promise<void> {
    this.definitions.expire();
    if (active === undefined && denied === undefined && this.ledger().inUse(id, this.clock()) === 0) return;
    const [limit] = await this.find(workspace, { names: [], ids: [id] });
    if (!limit) return;
    const now = this.clock();
    this.ledger().settle(limit, now);
    if (active !== undefined) this.ledger().setInUse(limit, active, now);
    if (denied !== undefined) this.line.setWaiting(limit, denied, now);
  }

  private removeLimits(ids: readonly string[]): void {
    this.definitions.expire();
    for (const id of ids) this.forgetLimit(id);
  }

  private async reset(workspace: string, id: string, taskRuns: readonly [string, string][]): Promise<void> {
    const [limit] = await this.find(workspace, { names: [], ids: [id] });
    this.ledger().clear(id);
    const now = this.clock();
    if (!limit) return;
    for (const [taskRunId, leaseId] of taskRuns) {
      const lease = { id: leaseId, expires: null, holder: { type: "task_run" as const, id: taskRunId } };
      this.ledger().hold([limit], { slots: 1, lease }, now);
    }
    if (taskRuns.length > 0) await this.armFor(workspace, null);
  }

  private forgetLimit(id: string): void {
    this.ledger().clear(id);
    this.line.forget(id);
  }

  /** The limits of these names and ids, each once, in the order they were asked for; D1 is read if they are not known. */
  private async find(workspace: string, asked: Asked): Promise<Limit[]> {
    if (this.definitions.wanted(asked, this.clock())) await this.inTurn(() => this.readNow(workspace, asked));
    return this.known(asked);
  }

  private known(asked: Asked): Limit[] {
    const found = [
      ...asked.names.map((name) => this.definitions.named(name)),
      ...asked.ids.map((id) => this.definitions.read(id)),
    ];
    return [...new Set(found)].filter((limit) => limit !== undefined);
  }

  private async readNow(workspace: string, asked: Asked): Promise<void> {
    for (let tries = 1; ; tries++) {
      const wanted = this.definitions.wanted(asked, this.clock());
      if (!wanted) return;
      const { generation } = this.definitions;
      const rows = await readLimits(this.toolsOf(workspace), wanted);
      if (generation !== this.definitions.generation && tries < READ_TRIES) continue;
      const gone = this.definitions.learn(wanted, rows, this.clock());
      for (const id of gone) this.forgetLimit(id);
      return;
    }
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.reading.then(work);
    this.reading = done.catch(() => undefined);
    return done;
  }

  /** Sets the alarm for the lease that expires first, unless one is set for before that. */
  private async armExpiry(): Promise<void> {
    const next = this.ledger().nextExpiry;
    if (next === null || (this.timerAt !== null && this.timerAt <= next)) return;
    this.timerAt = next;
    await this.setTimerBy("expire", toMs(next));
  }

  private ledger(): Ledger {
    this.book ??= new Ledger(
      ledgerTables({
        read: <Row extends Record<string, SqlStorageValue>>(statement: string) =>
          this.sql.exec<Row>(statement).toArray(),
        write: (statement, ...params) => this.write(statement, ...params),
      }),
    );
    return this.book;
  }
}

const toMs = (time: Micros) => Math.ceil(time / 1000);

const expiryOf = (seconds: number | null, now: Micros) => (seconds === null ? null : now + seconds * SECOND);

const minimal = ({ id, name, limit }: Limit): MinimalLimit => ({ id, name, limit });

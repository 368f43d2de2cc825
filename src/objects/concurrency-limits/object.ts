/** The `ConcurrencyLimits` object: slots and leases of the limits of one workspace. The definitions of the limits are in D1. */
import { type Micros, SECOND } from "#lib/clock";
import { Turns } from "#lib/turns";
import { SluiceObject } from "#objects/base";
import type { Implementation } from "#objects/call";
import { Definitions, readEnded, readLimits } from "#objects/concurrency-limits/definitions";
import { LeaseLedger, type Limit } from "#objects/concurrency-limits/ledger";
import { Waiters } from "#objects/concurrency-limits/waiters";
import {
  type AcquireAnswer,
  type AcquireAsk,
  type LimitChange,
  CONCURRENCY_LIMITS,
  type Holder,
  type Lease,
  type LimitKeys,
  type MinimalLimit,
  type Usage,
} from "#objects/concurrency-limits/messages";
import { LEDGER_TABLES, ledgerTables } from "#objects/concurrency-limits/tables";

/** How often the object checks whether the runs of lasting leases have ended. */
const CHECK_EVERY = 300 * SECOND;
/** The check skips younger leases, because a lease is taken before the commit of the state that needs the lease. */
const SETTLED_AFTER = 60 * SECOND;
/** A task run that took a slot, and is not in D1 after this time, was deleted or is never reported. */
const REPORTED_WITHIN = 86_400 * SECOND;
/** How many times D1 is read at most when definitions change during the reads. */
const READ_TRIES = 3;
/** How many leases of a limit are listed. */
const MOST_SHOWN = 50;

export class ConcurrencyLimits extends SluiceObject implements Implementation<typeof CONCURRENCY_LIMITS> {
  override readonly migrations = LEDGER_TABLES;
  override readonly contract = CONCURRENCY_LIMITS;
  private leases: LeaseLedger | null = null;
  private definitions = new Definitions();
  private waiters = new Waiters();
  /** Only one read of D1 runs at a time. A call that waited for another call's read finds the definitions that were read. */
  private reads = new Turns(1);
  private timerAt: Micros | null = null;

  override async onTimer(name: string): Promise<void> {
    if (name === "check") return this.check();
    this.timerAt = null;
    this.ledger().expire(this.clock());
    await this.armExpiry();
  }

  /** Ends lasting leases of runs that have ended, because no client ends such a lease, or not soon. */
  private async check(): Promise<void> {
    const now = this.clock();
    const lasting = this.ledger().lasting(now + SETTLED_AFTER);
    const held = lasting.filter(({ holder }) => holder !== null && holder.type !== "deployment");
    if (held.length === 0) return;
    const settled = held.filter(({ created }) => created < now - SETTLED_AFTER);
    const isOld = ({ created, expires }: Lease) => expires === null && created < now - REPORTED_WITHIN;
    for (const lease of await readEnded(this.tools(), settled, isOld)) this.endUnchanged(lease);
    await this.setTimerBy("check", this.clock() + CHECK_EVERY);
  }

  /** Ends a lease, unless the lease ended and was taken again during the read of D1. */
  private endUnchanged({ id, created }: Lease): void {
    if (this.ledger().read(id, this.clock())?.created === created) this.release(id);
  }

  /** Sets both timers for a lease that was taken or renewed, unless the timers are set. */
  private async armFor(seconds: number | null): Promise<void> {
    await this.armExpiry();
    if (seconds !== null && seconds * SECOND <= CHECK_EVERY) return;
    await this.setTimerBy("check", this.clock() + CHECK_EVERY);
  }

  async keep(ask: AcquireAsk): Promise<AcquireAnswer> {
    if (ask.lease && (await this.renew(ask.lease.id, ask.lease.seconds))) return this.heldAlready(ask);
    return this.acquire(ask);
  }

  async makeEndless(leaseId: string, holder: Holder): Promise<boolean> {
    const isThere = this.ledger().renew(leaseId, { expires: null, holder }, this.clock());
    if (isThere) await this.armFor(null);
    return isThere;
  }

  private heldAlready(asked: LimitKeys): AcquireAnswer {
    return { kind: "acquired", limits: this.known(asked).map(minimal), is_held: true };
  }

  async acquire(ask: AcquireAsk): Promise<AcquireAnswer> {
    const limits = await this.find(ask);
    // No await from here until the slots are taken.
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
    if (ask.lease) await this.armFor(ask.lease.seconds);
    return { kind: "acquired", limits: limits.map(minimal), is_held: ask.lease !== null && active.length > 0 };
  }

  private refuse(full: readonly Limit[], slots: number, now: Micros): AcquireAnswer {
    const refusals = full.map((limit) => ({
      limit,
      free_in_seconds: limit.slot_decay_per_second > 0 ? this.ledger().freeIn(limit, slots, now) : 0,
    }));
    return { kind: "full", limits: full.map(minimal), retry_after_seconds: this.waiters.join(refusals, slots, now) };
  }

  async give(names: string[], slots: number, occupancySeconds: number | null): Promise<MinimalLimit[]> {
    const limits = await this.find({ names, ids: [] });
    const now = this.clock();
    for (const limit of limits) {
      if (!limit.active) continue;
      this.ledger().give(limit.id, slots, now);
      if (occupancySeconds !== null) this.waiters.noteOccupancy(limit.id, limit.limit, occupancySeconds / slots);
    }
    return limits.map(minimal);
  }

  release(leaseId: string): boolean {
    const now = this.clock();
    const lease = this.ledger().release(leaseId, now);
    for (const { limit_id } of lease?.reservations ?? []) {
      const limit = this.definitions.read(limit_id);
      if (lease && limit)
        this.waiters.noteOccupancy(limit_id, limit.limit, (now - lease.created) / SECOND / lease.slots);
    }
    return lease !== undefined;
  }

  async renew(leaseId: string, seconds: number | null): Promise<boolean> {
    const now = this.clock();
    const isRenewed = this.ledger().renew(leaseId, { expires: expiryOf(seconds, now) }, now);
    if (isRenewed) await this.armFor(seconds);
    return isRenewed;
  }

  async releaseHeld(names: string[], holderId: string): Promise<MinimalLimit[]> {
    const limits = await this.find({ names, ids: [] });
    const leases = limits.flatMap(({ id }) => this.ledger().heldOn(id, this.clock()));
    for (const { id, holder } of leases) if (holder?.id === holderId) this.release(id);
    return limits.map(minimal);
  }

  inUse(ids: string[]): Record<string, number> {
    return this.ofEach(ids, (id) => this.ledger().inUse(id, this.clock()));
  }

  usage(ids: string[]): Record<string, Usage> {
    const now = this.clock();
    return this.ofEach(ids, (id) => ({
      in_use: this.ledger().inUse(id, now),
      leases: this.ledger()
        .heldOn(id, now)
        .slice(0, MOST_SHOWN)
        .map(({ holder, created, expires }) => ({ holder, created, expires })),
    }));
  }

  taskRuns(ids: string[]): Record<string, string[]> {
    const now = this.clock();
    const taskRunsOf = ({ holder }: Lease) => (holder?.type === "task_run" ? [holder.id] : []);
    return this.ofEach(ids, (id) => this.ledger().heldOn(id, now).flatMap(taskRunsOf));
  }

  private ofEach<Answer>(ids: readonly string[], read: (id: string) => Answer): Record<string, Answer> {
    return Object.fromEntries(ids.map((id) => [id, read(id)]));
  }

  /** The next call that needs a definition reads it again. */
  async change({ id, active_slots: active, denied_slots: denied }: LimitChange): Promise<void> {
    this.definitions.expire();
    if (active === undefined && denied === undefined && this.ledger().inUse(id, this.clock()) === 0) return;
    const [limit] = await this.find({ names: [], ids: [id] });
    if (!limit) return;
    const now = this.clock();
    this.ledger().settle(limit, now);
    if (active !== undefined) this.ledger().setInUse(limit, active, now);
    if (denied !== undefined) this.waiters.setWaiting(limit, denied, now);
  }

  remove(ids: readonly string[]): void {
    this.definitions.expire();
    for (const id of ids) this.forgetLimit(id);
  }

  async reset(id: string, taskRuns: readonly [string, string][]): Promise<void> {
    const [limit] = await this.find({ names: [], ids: [id] });
    this.ledger().clear(id);
    const now = this.clock();
    if (!limit) return;
    for (const [taskRunId, leaseId] of taskRuns) {
      const lease = { id: leaseId, expires: null, holder: { type: "task_run" as const, id: taskRunId } };
      this.ledger().hold([limit], { slots: 1, lease }, now);
    }
    if (taskRuns.length > 0) await this.armFor(null);
  }

  private forgetLimit(id: string): void {
    this.ledger().clear(id);
    this.waiters.forget(id);
  }

  /** The limits of these names and ids, each once, in the order in which they were asked for. Reads D1 if a limit is not known. */
  private async find(asked: LimitKeys): Promise<Limit[]> {
    if (this.definitions.wanted(asked, this.clock())) await this.reads.take(() => this.readNow(asked));
    return this.known(asked);
  }

  private known(asked: LimitKeys): Limit[] {
    const found = [
      ...asked.names.map((name) => this.definitions.named(name)),
      ...asked.ids.map((id) => this.definitions.read(id)),
    ];
    return [...new Set(found)].filter((limit) => limit !== undefined);
  }

  private async readNow(asked: LimitKeys): Promise<void> {
    for (let tries = 1; ; tries++) {
      const wanted = this.definitions.wanted(asked, this.clock());
      if (!wanted) return;
      const { generation } = this.definitions;
      const rows = await readLimits(this.tools(), wanted);
      if (generation !== this.definitions.generation && tries < READ_TRIES) continue;
      const gone = this.definitions.learn(wanted, rows, this.clock());
      for (const id of gone) this.forgetLimit(id);
      return;
    }
  }

  /** Sets the alarm for the lease that expires first, unless an earlier alarm is set. */
  private async armExpiry(): Promise<void> {
    const next = this.ledger().nextExpiry;
    if (next === null || (this.timerAt !== null && this.timerAt <= next)) return;
    this.timerAt = next;
    await this.setTimerBy("expire", next);
  }

  private ledger(): LeaseLedger {
    return (this.leases ??= new LeaseLedger(ledgerTables(this.storage)));
  }
}

const expiryOf = (seconds: number | null, now: Micros) => (seconds === null ? null : now + seconds * SECOND);

const minimal = ({ id, name, limit }: Limit): MinimalLimit => ({ id, name, limit });

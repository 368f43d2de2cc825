/** The slots and leases of concurrency limits. A slot in use has a lease or none. Pure: callers pass the time, and a store keeps the rows. */
import { type Micros, SECOND } from "#lib/clock";
import type { Holder, Lease, MinimalLimit } from "#objects/concurrency-limits/messages";

/** The parts of a limit that its slots depend on. */
export interface Limit extends MinimalLimit {
  active: boolean;
  /** How fast slots in use decay. 0 if slots stay in use until they are given back. */
  slot_decay_per_second: number;
}

/** The slots of a limit that are in use without a lease: their number at a time, and how fast they decay from that time on. */
export interface Unleased {
  limit_id: string;
  slots: number;
  at: Micros;
  decay: number;
}

/** The rows of the ledger. The rows always match the ledger's memory. */
export interface LedgerStore {
  leases(): Iterable<Lease>;
  putLease(lease: Lease): void;
  deleteLease(id: string): void;
  unleased(): Iterable<Unleased>;
  putUnleased(row: Unleased): void;
  deleteUnleased(limitId: string): void;
}

/** What a caller asks for: slots of each limit, with or without a lease. */
interface Taking {
  slots: number;
  lease: Pick<Lease, "id" | "expires" | "holder"> | null;
}

/** A part of a slot that is smaller than this is a rounding error of floating point. */
const NOTHING = 1e-6;

/** The slots and leases of one workspace. */
export class LeaseLedger {
  /** The time at which the next lease expires, or an earlier time; null without leases that expire. Only the ledger changes it. */
  nextExpiry: Micros | null = null;
  private readonly leases = new Map<string, Lease>();
  private readonly leasesOn = new Map<string, Set<Lease>>();
  private readonly unleased = new Map<string, Unleased>();
  private readonly store: LedgerStore;

  constructor(store: LedgerStore) {
    this.store = store;
    for (const lease of store.leases()) this.remember(lease);
    for (const row of store.unleased()) this.unleased.set(row.limit_id, row);
  }

  /** How many slots of a limit are in use. */
  inUse(limitId: string, now: Micros): number {
    this.expire(now);
    return Math.ceil(this.levelOf(limitId, now) - NOTHING) + this.sumOn(limitId, false);
  }

  /**
   * Takes the slots of all these limits, or takes nothing. Returns the limits that have too few free slots; an empty list means that
   * the slots were taken. Limits that are not active are skipped. If the lease already exists, nothing more is taken.
   */
  acquire(limits: readonly Limit[], { slots, lease }: Taking, now: Micros): Limit[] {
    this.expire(now);
    if (lease && this.leases.has(lease.id)) return [];
    const active = limits.filter((limit) => limit.active);
    for (const limit of active) this.settle(limit, now);
    const blocking = active.filter((limit) => this.inUse(limit.id, now) + slots > limit.limit);
    if (blocking.length > 0 || active.length === 0) return blocking;
    this.hold(active, { slots, lease }, now);
    return [];
  }

  /** Takes the slots, even if they are not free. */
  hold(limits: readonly Limit[], { slots, lease }: Taking, now: Micros): void {
    for (const limit of limits) {
      this.settle(limit, now);
      if (lease === null || limit.slot_decay_per_second > 0) this.addUnleased(limit, slots, now);
    }
    if (!lease) return;
    const reservations = limits.map(({ id, slot_decay_per_second: decay }) => ({
      limit_id: id,
      slots,
      decays: decay > 0,
    }));
    this.put({ ...lease, created: now, slots, reservations });
  }

  /** A lease that has not ended, or undefined. */
  read(leaseId: string, now: Micros): Lease | undefined {
    this.expire(now);
    return this.leases.get(leaseId);
  }

  /** Changes when a lease expires (null: never), and its holder if a holder is given. Returns whether the lease still existed. */
  renew(leaseId: string, { expires, holder }: { expires: Micros | null; holder?: Holder }, now: Micros): boolean {
    const lease = this.read(leaseId, now);
    if (!lease) return false;
    this.put({ ...lease, expires, holder: holder ?? lease.holder });
    return true;
  }

  /** Ends a lease. Returns the lease, or undefined if the lease no longer exists. */
  release(leaseId: string, now: Micros): Lease | undefined {
    const lease = this.read(leaseId, now);
    if (lease) this.end(lease, now);
    return lease;
  }

  /** Gives back slots of a limit that are in use without a lease, at most as many as there are. Slots of leases are not given back. */
  give(limitId: string, slots: number, now: Micros): void {
    const row = this.unleased.get(limitId);
    if (row) this.putUnleased({ ...row, slots: Math.max(0, this.levelOf(limitId, now) - slots), at: now });
  }

  /** Ends the leases that have expired. */
  expire(now: Micros): void {
    if (this.nextExpiry === null || this.nextExpiry > now) return;
    const expired = [...this.leases.values()].filter(({ expires }) => expires !== null && expires <= now);
    for (const lease of expired) this.end(lease, now);
    this.nextExpiry = null;
    for (const { expires } of this.leases.values()) this.noteExpiry(expires);
  }

  /**
   * Sets the number of slots in use. Surplus slots are taken first from the slots without a lease, then from the oldest
   * leases. Missing slots are taken without a lease.
   */
  setInUse(limit: Limit, slots: number, now: Micros): void {
    this.settle(limit, now);
    const over = this.inUse(limit.id, now) - slots;
    if (over < 0) this.addUnleased(limit, -over, now);
    if (over > 0) this.give(limit.id, over, now);
    let left = this.inUse(limit.id, now) - slots;
    for (const lease of this.oldestOn(limit.id)) {
      const reservation = lease.reservations.find((each) => each.limit_id === limit.id && !each.decays);
      if (left <= 0 || !reservation) continue;
      const less = Math.min(left, reservation.slots);
      left -= less;
      const rest = reservation.slots > less ? [{ ...reservation, slots: reservation.slots - less }] : [];
      this.replace(lease, [...lease.reservations.filter((each) => each !== reservation), ...rest]);
    }
  }

  /** Takes back all slots of a limit that are in use. A lease that has no other limit ends. */
  clear(limitId: string): void {
    for (const lease of this.oldestOn(limitId)) {
      const reservations = lease.reservations.filter((each) => each.limit_id !== limitId);
      this.replace(lease, reservations);
    }
    if (this.unleased.delete(limitId)) this.store.deleteUnleased(limitId);
  }

  /** Applies a change of a limit's decay. If slots no longer decay, only those slots stay in use that a lease will give back. */
  settle(limit: Limit, now: Micros): void {
    const row = this.unleased.get(limit.id);
    const decay = limit.slot_decay_per_second;
    if (!row || row.decay === decay) return;
    const level = this.levelOf(limit.id, now);
    const slots = decay > 0 ? level : Math.min(Math.ceil(level - NOTHING), this.sumOn(limit.id, true));
    this.putUnleased({ limit_id: limit.id, slots, at: now, decay });
  }

  /** The leases that do not expire before a time. Before that time, only the end of the holder's run shows that such a lease can end. */
  lasting(time: Micros): Lease[] {
    return [...this.leases.values()].filter(({ expires }) => expires === null || expires > time);
  }

  /** The leases on a limit that have a holder, oldest first. */
  heldOn(limitId: string, now: Micros): Lease[] {
    this.expire(now);
    return this.oldestOn(limitId).filter(({ holder }) => holder !== null);
  }

  /** The seconds until `slots` slots of a limit with decay are free, if no slot is taken before. */
  freeIn(limit: Limit, slots: number, now: Micros): number {
    const over = this.levelOf(limit.id, now) + this.sumOn(limit.id, false) + slots - limit.limit;
    return Math.max(0, over / limit.slot_decay_per_second);
  }

  private levelOf(limitId: string, now: Micros): number {
    const row = this.unleased.get(limitId);
    if (!row) return 0;
    return Math.max(0, row.slots - (row.decay * Math.max(0, now - row.at)) / SECOND);
  }

  /** The slots of a limit that leases reserve: the slots that decay, or the slots that do not. */
  private sumOn(limitId: string, decays: boolean): number {
    let sum = 0;
    for (const { reservations } of this.leasesOn.get(limitId) ?? []) {
      for (const each of reservations) if (each.limit_id === limitId && each.decays === decays) sum += each.slots;
    }
    return sum;
  }

  private oldestOn(limitId: string): Lease[] {
    return [...(this.leasesOn.get(limitId) ?? [])].toSorted((a, b) => a.created - b.created);
  }

  private addUnleased({ id, slot_decay_per_second: decay }: Limit, slots: number, now: Micros): void {
    this.putUnleased({ limit_id: id, slots: this.levelOf(id, now) + slots, at: now, decay });
  }

  private putUnleased(row: Unleased): void {
    if (row.slots > NOTHING) {
      this.store.putUnleased(row);
      this.unleased.set(row.limit_id, row);
      return;
    }
    this.store.deleteUnleased(row.limit_id);
    this.unleased.delete(row.limit_id);
  }

  private replace(lease: Lease, reservations: Lease["reservations"]): void {
    if (reservations.length > 0) this.put({ ...lease, reservations });
    else this.remove(lease);
  }

  private end(lease: Lease, now: Micros): void {
    this.remove(lease);
    for (const { limit_id, slots, decays } of lease.reservations) if (decays) this.give(limit_id, slots, now);
  }

  private put(lease: Lease): void {
    this.store.putLease(lease);
    const old = this.leases.get(lease.id);
    if (old) this.forget(old);
    this.remember(lease);
  }

  private remove(lease: Lease): void {
    this.store.deleteLease(lease.id);
    this.forget(lease);
  }

  private remember(lease: Lease): void {
    this.leases.set(lease.id, lease);
    for (const { limit_id } of lease.reservations) {
      const on = this.leasesOn.get(limit_id) ?? new Set();
      this.leasesOn.set(limit_id, on.add(lease));
    }
    this.noteExpiry(lease.expires);
  }

  private forget(lease: Lease): void {
    this.leases.delete(lease.id);
    for (const { limit_id } of lease.reservations) {
      const on = this.leasesOn.get(limit_id);
      on?.delete(lease);
      if (on?.size === 0) this.leasesOn.delete(limit_id);
    }
  }

  private noteExpiry(expires: Micros | null): void {
    if (expires !== null && (this.nextExpiry === null || expires < this.nextExpiry)) this.nextExpiry = expires;
  }
}

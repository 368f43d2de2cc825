/** Who holds which slots of concurrency limits. What is in use is the sum of what is held. Pure: no clock of its own, and rows go to a store. */
import type { Micros } from "#lib/clock";
import type { Hold, Holder, Lease } from "#objects/concurrency-limits/messages";

/** A limit as far as its slots are concerned. */
export interface Limit {
  id: string;
  name: string;
  limit: number;
  active: boolean;
  /** How fast taken slots run off by themselves; 0 where they are held until they are given back. */
  slot_decay_per_second: number;
}

/** The slots of a limit that nobody holds by a lease: so many at a time, and how fast they have run off since. */
export interface Loose {
  limit_id: string;
  slots: number;
  at: Micros;
  decay: number;
}

/** Where the ledger's rows are kept; what it holds in memory is the same at each moment. */
export interface LedgerStore {
  leases(): Iterable<Lease>;
  putLease(lease: Lease): void;
  deleteLease(id: string): void;
  loose(): Iterable<Loose>;
  putLoose(loose: Loose): void;
  deleteLoose(limitId: string): void;
}

/** What is asked for: slots of each limit, under a lease or loose. */
export interface Taking {
  slots: number;
  lease: { id: string; expires: Micros | null; holder: Holder | null } | null;
}

const SECOND: Micros = 1_000_000;
/** Less than this of a slot is a rounding error of floating point. */
const NOTHING = 1e-6;

/** The slots and leases of one workspace. */
export class Ledger {
  private readonly leases = new Map<string, Lease>();
  private readonly leasesOn = new Map<string, Set<Lease>>();
  private readonly loose = new Map<string, Loose>();
  private readonly store: LedgerStore;
  private firstExpiry: Micros | null = null;

  constructor(store: LedgerStore) {
    this.store = store;
    for (const lease of store.leases()) this.remember(lease);
    for (const loose of store.loose()) this.loose.set(loose.limit_id, loose);
  }

  /** When the next lease expires, or null. Never later than that. */
  get nextExpiry(): Micros | null {
    return this.firstExpiry;
  }

  /** How many slots of a limit are in use. */
  inUse(limitId: string, now: Micros): number {
    this.expire(now);
    return Math.ceil(this.levelOf(limitId, now) - NOTHING) + this.leased(limitId);
  }

  /**
   * Takes the slots of all these limits, or of none. Gives the limits that have too few free: none means taken. Limits
   * that are not active count for nothing. Asked again for a lease that is there, it is that lease.
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

  /** Takes the slots whether they are free or not, on somebody's word. */
  hold(limits: readonly Limit[], { slots, lease }: Taking, now: Micros): void {
    for (const limit of limits) {
      this.settle(limit, now);
      if (lease === null || limit.slot_decay_per_second > 0) {
        this.addLoose(limit.id, slots, now, limit.slot_decay_per_second);
      }
    }
    if (!lease) return;
    const holds = limits.map((limit) => ({ limit_id: limit.id, slots, runs_off: limit.slot_decay_per_second > 0 }));
    this.put({ ...lease, created: now, slots, holds });
  }

  /** A lease that has not ended, or undefined. */
  read(leaseId: string, now: Micros): Lease | undefined {
    this.expire(now);
    return this.leases.get(leaseId);
  }

  /** Lets a lease expire at another time or never, and be another's if one is named; whether it is still there. */
  renew(leaseId: string, { expires, holder }: { expires: Micros | null; holder?: Holder }, now: Micros): boolean {
    const lease = this.read(leaseId, now);
    if (!lease) return false;
    this.put({ ...lease, expires, holder: holder ?? lease.holder });
    return true;
  }

  /** Ends a lease; gives it, or undefined where it is gone already. */
  release(leaseId: string, now: Micros): Lease | undefined {
    const lease = this.read(leaseId, now);
    if (lease) this.end(lease, now);
    return lease;
  }

  /** Gives back loose slots of a limit, at most as many as there are: what others hold by leases stays theirs. */
  give(limitId: string, slots: number, now: Micros): void {
    const row = this.loose.get(limitId);
    if (row) this.putLoose({ ...row, slots: Math.max(0, this.levelOf(limitId, now) - slots), at: now });
  }

  /** Ends the leases that have expired. */
  expire(now: Micros): void {
    if (this.firstExpiry === null || this.firstExpiry > now) return;
    const expired = [...this.leases.values()].filter(({ expires }) => expires !== null && expires <= now);
    for (const lease of expired) this.end(lease, now);
    this.firstExpiry = null;
    for (const { expires } of this.leases.values()) this.noteExpiry(expires);
  }

  /**
   * Puts the slots in use to a number that somebody insists on: what is too much is taken from the loose ones and then
   * from the oldest leases, what is missing becomes loose.
   */
  setInUse(limit: Limit, slots: number, now: Micros): void {
    this.settle(limit, now);
    const over = this.inUse(limit.id, now) - slots;
    if (over < 0) this.addLoose(limit.id, -over, now, limit.slot_decay_per_second);
    if (over > 0) this.give(limit.id, over, now);
    let left = this.inUse(limit.id, now) - slots;
    for (const lease of this.oldestOn(limit.id)) {
      const hold = lease.holds.find((each) => each.limit_id === limit.id && !each.runs_off);
      if (left <= 0 || !hold) continue;
      const less = Math.min(left, hold.slots);
      left -= less;
      this.replaceHold(lease, hold, { ...hold, slots: hold.slots - less });
    }
  }

  /** Takes everything back that is in use of a limit. Leases that hold nothing else end. */
  clear(limitId: string): void {
    for (const lease of this.oldestOn(limitId)) {
      const holds = lease.holds.filter((hold) => hold.limit_id !== limitId);
      this.replace(lease, holds);
    }
    if (this.loose.delete(limitId)) this.store.deleteLoose(limitId);
  }

  /** Goes on with a limit whose decay was changed: loose slots without decay are only those that a lease will give back. */
  settle(limit: Limit, now: Micros): void {
    const row = this.loose.get(limit.id);
    const decay = limit.slot_decay_per_second;
    if (!row || row.decay === decay) return;
    const level = this.levelOf(limit.id, now);
    const slots = decay > 0 ? level : Math.min(Math.ceil(level - NOTHING), this.runningOff(limit.id));
    this.putLoose({ limit_id: limit.id, slots, at: now, decay });
  }

  /** The leases that do not expire before that time: what only their holders' ends can tell to be over sooner. */
  lasting(time: Micros): Lease[] {
    return [...this.leases.values()].filter(({ expires }) => expires === null || expires > time);
  }

  /** The leases on a limit that have a holder, oldest first. */
  heldOn(limitId: string, now: Micros): Lease[] {
    this.expire(now);
    return this.oldestOn(limitId).filter(({ holder }) => holder !== null);
  }

  /** In how many seconds so many slots of a limit with decay are free, if nobody takes any. */
  freeIn(limit: Limit, slots: number, now: Micros): number {
    const over = this.levelOf(limit.id, now) + this.leased(limit.id) + slots - limit.limit;
    return Math.max(0, over / limit.slot_decay_per_second);
  }

  private levelOf(limitId: string, now: Micros): number {
    const row = this.loose.get(limitId);
    if (!row) return 0;
    return Math.max(0, row.slots - (row.decay * Math.max(0, now - row.at)) / SECOND);
  }

  private leased(limitId: string): number {
    return this.sumOn(limitId, false);
  }

  private runningOff(limitId: string): number {
    return this.sumOn(limitId, true);
  }

  private sumOn(limitId: string, runsOff: boolean): number {
    let sum = 0;
    for (const { holds } of this.leasesOn.get(limitId) ?? []) {
      for (const hold of holds) if (hold.limit_id === limitId && hold.runs_off === runsOff) sum += hold.slots;
    }
    return sum;
  }

  private oldestOn(limitId: string): Lease[] {
    return [...(this.leasesOn.get(limitId) ?? [])].toSorted((a, b) => a.created - b.created);
  }

  private addLoose(limitId: string, slots: number, now: Micros, decay: number): void {
    this.putLoose({ limit_id: limitId, slots: this.levelOf(limitId, now) + slots, at: now, decay });
  }

  private putLoose(row: Loose): void {
    if (row.slots > NOTHING) {
      this.store.putLoose(row);
      this.loose.set(row.limit_id, row);
      return;
    }
    this.store.deleteLoose(row.limit_id);
    this.loose.delete(row.limit_id);
  }

  private replaceHold(lease: Lease, old: Hold, hold: Hold): void {
    this.replace(
      lease,
      hold.slots > 0 ? lease.holds.with(lease.holds.indexOf(old), hold) : lease.holds.filter((each) => each !== old),
    );
  }

  private replace(lease: Lease, holds: readonly Hold[]): void {
    if (holds.length > 0) this.put({ ...lease, holds });
    else this.remove(lease);
  }

  private end(lease: Lease, now: Micros): void {
    this.remove(lease);
    for (const hold of lease.holds) if (hold.runs_off) this.give(hold.limit_id, hold.slots, now);
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
    for (const { limit_id } of lease.holds) {
      const on = this.leasesOn.get(limit_id) ?? new Set();
      this.leasesOn.set(limit_id, on.add(lease));
    }
    this.noteExpiry(lease.expires);
  }

  private forget(lease: Lease): void {
    this.leases.delete(lease.id);
    for (const { limit_id } of lease.holds) {
      const on = this.leasesOn.get(limit_id);
      on?.delete(lease);
      if (on?.size === 0) this.leasesOn.delete(limit_id);
    }
  }

  private noteExpiry(expires: Micros | null): void {
    if (expires !== null && (this.firstExpiry === null || expires < this.firstExpiry)) this.firstExpiry = expires;
  }
}

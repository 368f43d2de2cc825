/** The contract of the `ConcurrencyLimits` object, and the types in it. */
import type { Micros } from "#lib/clock";
import { method } from "#objects/call";

/** The run or deployment that has a lease. */
export interface Holder {
  type: "flow_run" | "task_run" | "deployment";
  id: string;
}

/** Slots that are taken until they are given back or until a time. */
export interface Lease {
  id: string;
  created: Micros;
  /** Null for a lease that does not expire. */
  expires: Micros | null;
  holder: Holder | null;
  slots: number;
  /** The slots of each limit that the lease reserves. Slots that decay are counted with the slots that have no lease. */
  reservations: readonly { limit_id: string; slots: number; decays: boolean }[];
}

/** Limits, by their names or ids. */
export interface LimitKeys {
  names: readonly string[];
  ids: readonly string[];
}

/** A request for slots of all these limits, or of none. */
export interface AcquireAsk extends LimitKeys {
  slots: number;
  /** `rate_limit` takes only limits with slots that decay. */
  mode: "concurrency" | "rate_limit";
  /** Null for slots that are given back by the limit's name. If `seconds` is null, the lease does not expire. */
  lease: { id: string; seconds: number | null; holder: Holder | null } | null;
}

/** A limit, as the answer to an acquisition shows it. */
export interface MinimalLimit {
  id: string;
  name: string;
  limit: number;
}

/** The result of an acquisition. */
export type AcquireAnswer =
  /** `is_held`: whether there is a lease. Without an active limit there is no lease. */
  | { kind: "acquired"; limits: MinimalLimit[]; is_held: boolean }
  /** `limits`: the limits that are full. */
  | { kind: "full"; limits: MinimalLimit[]; retry_after_seconds: number }
  /** The caller asked for more slots than these limits have in all. */
  | { kind: "too many"; limits: MinimalLimit[] }
  /** The caller asked for a rate limit, but these limits have no decay. */
  | { kind: "no decay"; limits: MinimalLimit[] };

/** A change of a limit's definition in D1, and the new number of its slots in use. */
export interface LimitChange {
  id: string;
  active_slots?: number | undefined;
  denied_slots?: number | undefined;
}

/** The number of slots of a limit in use, and some of the leases on the limit, oldest first. */
export interface Usage {
  in_use: number;
  leases: Pick<Lease, "holder" | "created" | "expires">[];
}

/** The methods of the object. */
export const CONCURRENCY_LIMITS = {
  /** Takes slots of all these limits, or of none. */
  acquire: method<(ask: AcquireAsk) => AcquireAnswer>(),
  /** Renews the lease if it exists. Otherwise takes the lease. */
  keep: method<(ask: AcquireAsk) => AcquireAnswer>(),
  /** Makes a lease last until the holder's run ends. Returns whether the lease still existed. May be repeated. */
  makeEndless: method<(leaseId: string, holder: Holder) => boolean>(),
  /** Gives back slots that were taken without a lease. */
  give: method<(names: string[], slots: number, occupancySeconds: number | null) => MinimalLimit[]>(),
  /** Ends a lease. Returns whether the lease still existed. May be repeated. */
  release: method<(leaseId: string) => boolean>(),
  /** Sets a lease to expire after `seconds`, or never (null). Returns whether the lease still existed. */
  renew: method<(leaseId: string, seconds: number | null) => boolean>(),
  /** Releases the holder's leases on limits of these names. Returns the limits. */
  releaseHeld: method<(names: string[], holderId: string) => MinimalLimit[]>(),
  /** How many slots of each limit are in use, by the ids of the limits. */
  inUse: method<(ids: string[]) => Record<string, number>>(),
  /** The slots in use and the leases of each limit, by the ids of the limits. */
  usage: method<(ids: string[]) => Record<string, Usage>>(),
  /** The task runs that have slots of each limit, by the ids of the limits. */
  taskRuns: method<(ids: string[]) => Record<string, string[]>>(),
  /** A limit's definition was made or changed, or the number of slots in use is set. */
  change: method<(change: LimitChange) => void>(),
  /** Limits were deleted. */
  remove: method<(ids: string[]) => void>(),
  /** Takes back all slots of a limit, and gives one slot to each of these task runs: [task run id, id of its new lease]. */
  reset: method<(id: string, taskRuns: [string, string][]) => void>(),
};

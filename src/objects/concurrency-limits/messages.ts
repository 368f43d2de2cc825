/** The contract of the `ConcurrencyLimits` object, and the types in it. */
import type { Micros } from "#lib/clock";
import { method } from "#objects/call";

/** The run or deployment that has a lease. */
export interface Holder {
  type: "flow_run" | "task_run" | "deployment";
  id: string;
}

/** Slots that are held until they are given back or until a time. */
export interface Lease {
  id: string;
  created: Micros;
  /** Null for one that does not expire. */
  expires: Micros | null;
  holder: Holder | null;
  slots: number;
  /** The slots of each limit that the lease reserves. Slots that decay are counted among those without a lease. */
  reservations: readonly { limit_id: string; slots: number; decays: boolean }[];
}

/** Limits by their names or ids. */
export interface LimitKeys {
  names: readonly string[];
  ids: readonly string[];
}

/** Slots of all these limits, or of none. */
export interface AcquireAsk extends LimitKeys {
  slots: number;
  /** `rate_limit` takes only limits with slots that decay. */
  mode: "concurrency" | "rate_limit";
  /** Null for slots that are given back by name. `seconds` null: it does not expire. */
  lease: { id: string; seconds: number | null; holder: Holder | null } | null;
}

/** A limit as acquisitions answer it. */
export interface MinimalLimit {
  id: string;
  name: string;
  limit: number;
}

/** What became of an acquisition. */
export type AcquireAnswer =
  /** `is_held`: whether there is a lease; without an active limit there is nothing to hold. */
  | { kind: "acquired"; limits: MinimalLimit[]; is_held: boolean }
  /** `limits`: those that are full. */
  | { kind: "full"; limits: MinimalLimit[]; retry_after_seconds: number }
  /** More was asked for than these limits have in all. */
  | { kind: "too many"; limits: MinimalLimit[] }
  /** Asked for as a rate, but these have no decay. */
  | { kind: "no decay"; limits: MinimalLimit[] };

/** A change of a limit's definition in D1, and what its slots are put to. */
export interface LimitChange {
  id: string;
  active_slots?: number | undefined;
  denied_slots?: number | undefined;
}

/** The slots of a limit that are in use, and leases of some of them, oldest first. */
export interface Usage {
  in_use: number;
  leases: Pick<Lease, "holder" | "created" | "expires">[];
}

/** The methods of the object. */
export const CONCURRENCY_LIMITS = {
  /** Takes slots of all these limits, or of none. */
  acquire: method<(ask: AcquireAsk) => AcquireAnswer>(),
  /** Renews the lease if it is there, and takes it otherwise. */
  keep: method<(ask: AcquireAsk) => AcquireAnswer>(),
  /** Lets a lease last until the run of its holder is over; whether the lease was still there. May be repeated. */
  makeEndless: method<(leaseId: string, holder: Holder) => boolean>(),
  /** Gives back slots that were taken without a lease. */
  give: method<(names: string[], slots: number, occupancySeconds: number | null) => MinimalLimit[]>(),
  /** Ends a lease; whether it was still there. May be repeated. */
  release: method<(leaseId: string) => boolean>(),
  /** Lets a lease expire so many seconds from now, or never (null); whether it was still there. */
  renew: method<(leaseId: string, seconds: number | null) => boolean>(),
  /** Releases the leases that the holder has on limits of these names; gives the limits. */
  releaseHeld: method<(names: string[], holderId: string) => MinimalLimit[]>(),
  /** How many slots of each limit are in use, by the ids of the limits. */
  inUse: method<(ids: string[]) => Record<string, number>>(),
  /** The slots in use and the leases of each limit, by the ids of the limits. */
  usage: method<(ids: string[]) => Record<string, Usage>>(),
  /** The task runs that hold slots of each limit, by the ids of the limits. */
  taskRuns: method<(ids: string[]) => Record<string, string[]>>(),
  /** A limit's definition was made or changed, or the slots in use are set. */
  change: method<(change: LimitChange) => void>(),
  /** Limits were deleted. */
  remove: method<(ids: string[]) => void>(),
  /** Takes back all slots of a limit, and gives one each to these task runs: [task run id, id of its new lease]. */
  reset: method<(id: string, taskRuns: [string, string][]) => void>(),
};

/** What goes to and from the object of a workspace's concurrency limits. Versioned by the call that carries it. */
import type { Micros } from "#lib/clock";

/** What a lease holds of one limit. Slots of a limit with decay run off among the limit's loose ones. */
export interface Hold {
  limit_id: string;
  slots: number;
  runs_off: boolean;
}

/** Whose lease it is. */
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
  holds: readonly Hold[];
}

/** Slots of all these limits, or of none. */
export interface AcquireAsk {
  names: string[];
  ids: string[];
  slots: number;
  /** `rate_limit` takes no limit whose slots do not run off. */
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
export interface Change {
  id: string;
  active_slots?: number | undefined;
  denied_slots?: number | undefined;
}

/** The slots of a limit that are in use, and leases of some of them, oldest first. */
export interface Usage {
  in_use: number;
  leases: Pick<Lease, "holder" | "created" | "expires">[];
}

/** The methods that callers may name; each says the workspace, so that the object can read D1. */
export interface ConcurrencyLimitsMethods {
  acquire(workspace: string, ask: AcquireAsk): Promise<AcquireAnswer>;
  /** Renews the lease if it is there, and takes it otherwise. */
  keep(workspace: string, ask: AcquireAsk): Promise<AcquireAnswer>;
  /** Takes away a lease's end; whether it was still there. */
  makeEndless(workspace: string, leaseId: string, holder: Holder): Promise<boolean>;
  /** Gives back slots that were taken without a lease. */
  give(workspace: string, names: string[], slots: number, occupancySeconds: number | null): Promise<MinimalLimit[]>;
  release(workspace: string, leaseId: string): Promise<boolean>;
  renew(workspace: string, leaseId: string, seconds: number): Promise<boolean>;
  /** Releases the leases that the holder has on these limits. */
  releaseHeld(workspace: string, names: string[], holderId: string): Promise<MinimalLimit[]>;
  inUse(workspace: string, ids: string[]): Promise<Record<string, number>>;
  /** Who holds slots of each limit, by the limits' ids. */
  usage(workspace: string, ids: string[]): Promise<Record<string, Usage>>;
  /** The ids of the task runs that hold slots. */
  taskRuns(workspace: string, ids: string[]): Promise<Record<string, string[]>>;
  change(workspace: string, change: Change): Promise<void>;
  remove(workspace: string, ids: string[]): Promise<void>;
  /** Takes everything back, and gives a slot each to these task runs: [task run id, lease id]. */
  reset(workspace: string, id: string, taskRuns: [string, string][]): Promise<void>;
}

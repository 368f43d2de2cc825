/** How the rest of the code calls the `ConcurrencyLimits` object. */
import { objectClient, tell } from "#objects/client";
import {
  type AcquireAnswer,
  type AcquireAsk,
  type LimitChange,
  CONCURRENCY_LIMITS,
  type Holder,
  type Usage,
} from "#objects/concurrency-limits/messages";
import type { Tools } from "#tools";

/** A client of the workspace's object. */
export const concurrencyLimits = ({ env, workspaceId: workspace, cost }: Tools) =>
  objectClient(CONCURRENCY_LIMITS, env.CONCURRENCY_LIMITS, { workspace, name: null }, cost);

/** A lease that a caller wants on limits, by the ids of the limits. */
export interface LeaseAsk {
  /** The caller makes the id before the first try. A retry with the same id gets the same lease. */
  lease_id: string;
  limit_ids: readonly string[];
  slots: number;
  /** Null for a lease that does not expire. */
  seconds: number | null;
  holder: Holder;
}

const leaseAsk = ({ lease_id: id, limit_ids: ids, slots, seconds, holder }: LeaseAsk) =>
  ({ names: [], ids, slots, mode: "concurrency", lease: { id, seconds, holder } }) satisfies AcquireAsk;

/**
 * Takes slots of all these limits under one lease, or takes nothing. `full` and `too many` mean that nothing was taken.
 * A limit of 0 answers `too many`.
 */
export function acquireLease(tools: Tools, ask: LeaseAsk): Promise<AcquireAnswer> {
  return concurrencyLimits(tools).acquire(leaseAsk(ask));
}

/** Renews a lease to `seconds` from now if the lease still exists. Otherwise takes a new lease under the same id. */
export function keepLease(tools: Tools, ask: LeaseAsk): Promise<AcquireAnswer> {
  return concurrencyLimits(tools).keep(leaseAsk(ask));
}

/** The id of a lease on no limits. Such a lease is not stored, is renewed without a call and needs no release. */
export function idOfNothing(leaseId: string): string {
  return `${leaseId.slice(0, 14)}8${leaseId.slice(15)}`;
}

const isOfNothing = (leaseId: string) => leaseId.charAt(14) === "8";

/** Sets a lease to expire `seconds` from now. Returns whether the lease still existed. */
export async function renewLease(tools: Tools, leaseId: string, seconds: number): Promise<boolean> {
  return isOfNothing(leaseId) || concurrencyLimits(tools).renew(leaseId, seconds);
}

/** Ends a lease. Returns whether the lease still existed. May be repeated. */
export async function releaseLease(tools: Tools, leaseId: string): Promise<boolean> {
  return isOfNothing(leaseId) || concurrencyLimits(tools).release(leaseId);
}

/** How many slots of each limit are in use, by the ids of the limits. Without ids there is no call. */
export async function readInUse(tools: Tools, ids: readonly string[]): Promise<Record<string, number>> {
  return ids.length === 0 ? {} : concurrencyLimits(tools).inUse([...ids]);
}

/** The slots in use and the leases of each limit, by the ids of the limits. Without ids there is no call. */
export async function readUsage(tools: Tools, ids: readonly string[]): Promise<Record<string, Usage>> {
  return ids.length === 0 ? {} : concurrencyLimits(tools).usage([...ids]);
}

/** The task runs that have slots of each limit, by the ids of the limits. Without limits there is no call. */
export async function readTaskRuns(tools: Tools, limits: readonly { id: string }[]): Promise<Record<string, string[]>> {
  return limits.length === 0 ? {} : concurrencyLimits(tools).taskRuns(limits.map(({ id }) => id));
}

/**
 * Notifies the object, after the commit, that a limit's definition was made or changed. If the notice fails, the object finds a changed
 * definition by itself within 30 seconds. Throws if the notice fails and the change sets the slots in use.
 */
export async function limitChanged(tools: Tools, change: LimitChange): Promise<void> {
  const call = () => concurrencyLimits(tools).change(change);
  if (change.active_slots !== undefined || change.denied_slots !== undefined) return call();
  await tell(tools, "the concurrency limits' object was not told of a change", {}, call);
}

/** Notifies the object, after the commit, of limits that were deleted. The object forgets their slots. */
export async function limitsRemoved(tools: Tools, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  const message = "the concurrency limits' object was not told of a deletion";
  await tell(tools, message, {}, () => concurrencyLimits(tools).remove([...ids]));
}

/** What the rest of the code asks of, and tells, the `ConcurrencyLimits` object. */
import { log } from "#lib/log";
import { objectClient, objectName } from "#objects/client";
import type {
  AcquireAnswer,
  AcquireAsk,
  Change,
  ConcurrencyLimitsMethods,
  Holder,
  MinimalLimit,
  Usage,
} from "#objects/concurrency-limits/messages";
import type { Tools } from "#tools";

const clientOf = (tools: Tools) =>
  objectClient<ConcurrencyLimitsMethods>(tools.env.CONCURRENCY_LIMITS, objectName(tools.workspaceId), tools.cost);

/** A lease that somebody wants on limits known by their ids. */
export interface LeaseAsk {
  /** Made by the caller before the first try: asked for again, it is the same lease. */
  lease_id: string;
  limit_ids: readonly string[];
  slots: number;
  /** Null for a lease that does not expire. */
  seconds: number | null;
  holder: Holder;
}

const leaseAsk = ({ lease_id: id, limit_ids: ids, slots, seconds, holder }: LeaseAsk) =>
  ({ names: [], ids: [...ids], slots, mode: "concurrency", lease: { id, seconds, holder } }) satisfies AcquireAsk;

/**
 * Takes slots of all these limits under one lease, or of none: `full` and `too many` mean that nothing was taken. A
 * limit of 0 answers `too many`.
 */
export function acquireLease(tools: Tools, ask: LeaseAsk): Promise<AcquireAnswer> {
  return acquireSlots(tools, leaseAsk(ask));
}

/** Renews a lease if it is still there, to so many seconds from now; otherwise takes it anew under the same id. */
export function keepLease(tools: Tools, ask: LeaseAsk): Promise<AcquireAnswer> {
  return clientOf(tools).keep(tools.workspaceId, leaseAsk(ask));
}

/**
 * Lets a lease last until its holder's run is over, because nobody will renew it; whether it was still there. May be
 * repeated.
 */
export function makeEndless(tools: Tools, leaseId: string, holder: Holder): Promise<boolean> {
  return clientOf(tools).makeEndless(tools.workspaceId, leaseId, holder);
}

/** Takes slots of all these limits, or of none. */
export function acquireSlots(tools: Tools, ask: AcquireAsk): Promise<AcquireAnswer> {
  return clientOf(tools).acquire(tools.workspaceId, ask);
}

/** Gives back slots that were taken without a lease. */
export function giveSlots(
  tools: Tools,
  names: readonly string[],
  { slots, occupancySeconds }: { slots: number; occupancySeconds: number | null },
): Promise<MinimalLimit[]> {
  return clientOf(tools).give(tools.workspaceId, [...names], slots, occupancySeconds);
}

/** The id of a lease on nothing: it is written nowhere, renewed without asking and needs no release. */
export function idOfNothing(leaseId: string): string {
  return `${leaseId.slice(0, 14)}8${leaseId.slice(15)}`;
}

const isOfNothing = (leaseId: string) => leaseId.charAt(14) === "8";

/** Lets a lease expire so many seconds from now; whether it was still there. */
export async function renewLease(tools: Tools, leaseId: string, seconds: number): Promise<boolean> {
  return isOfNothing(leaseId) || clientOf(tools).renew(tools.workspaceId, leaseId, seconds);
}

/** Ends a lease; whether it was still there. May be repeated. */
export async function releaseLease(tools: Tools, leaseId: string): Promise<boolean> {
  return isOfNothing(leaseId) || clientOf(tools).release(tools.workspaceId, leaseId);
}

/** Releases the leases that a holder has on limits of these names; gives the limits. */
export function releaseHeld(tools: Tools, names: readonly string[], holderId: string): Promise<MinimalLimit[]> {
  return clientOf(tools).releaseHeld(tools.workspaceId, [...names], holderId);
}

/** How many slots of each limit are in use, by the limits' ids. */
export function readInUse(tools: Tools, ids: readonly string[]): Promise<Record<string, number>> {
  return ids.length === 0 ? Promise.resolve({}) : clientOf(tools).inUse(tools.workspaceId, [...ids]);
}

/** Who holds slots of each limit, by the limits' ids. */
export function readUsage(tools: Tools, ids: readonly string[]): Promise<Record<string, Usage>> {
  return ids.length === 0 ? Promise.resolve({}) : clientOf(tools).usage(tools.workspaceId, [...ids]);
}

/** The task runs that hold slots of each limit, by the limits' ids. */
export function readTaskRuns(tools: Tools, ids: readonly string[]): Promise<Record<string, string[]>> {
  return ids.length === 0 ? Promise.resolve({}) : clientOf(tools).taskRuns(tools.workspaceId, [...ids]);
}

/**
 * Tells the object, after the commit, that a limit's definition was made or changed. If it cannot be told of the
 * definition, it finds out by itself within half a minute; what slots are put to has to arrive.
 */
export async function limitChanged(tools: Tools, change: Change): Promise<void> {
  try {
    await clientOf(tools).change(tools.workspaceId, change);
  } catch (error) {
    if (change.active_slots !== undefined || change.denied_slots !== undefined) throw error;
    log(tools, "error", "the concurrency limits' object was not told of a change", { error });
  }
}

/** Tells the object, after the commit, of limits that were deleted; what is held of them is forgotten. */
export async function limitsRemoved(tools: Tools, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  try {
    await clientOf(tools).remove(tools.workspaceId, [...ids]);
  } catch (error) {
    log(tools, "error", "the concurrency limits' object was not told of a deletion", { error });
  }
}

/** Takes back all slots of a limit, and gives one each to these task runs: [task run id, id of its new lease]. */
export function resetLimit(tools: Tools, id: string, taskRuns: readonly [string, string][]): Promise<void> {
  return clientOf(tools).reset(tools.workspaceId, id, [...taskRuns]);
}

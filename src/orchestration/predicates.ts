/** What more than one rule asks of a state or of a client. */
import { compareVersions, parseVersion } from "#lib/versions";
import type { RunContext } from "#orchestration/transition";
import type { State } from "#wire/state";

/**
 * Whether a state's data is a result, or names one that was stored: any data but null and an object that says "unpersisted".
 * Prefect: `_has_persisted_result` takes a list, a text or a number for none, and runs what is complete once more.
 */
export function hasPersistedResult({ data }: Pick<State, "data">): boolean {
  return data !== null && data !== undefined && !isUnpersisted(data);
}

function isUnpersisted(data: unknown): boolean {
  return typeof data === "object" && data !== null && "type" in data && data.type === "unpersisted";
}

/** The state as it is kept: what says that a result was not stored is shown once, in the answer to its proposal. */
export function storedState(state: State): State {
  return isUnpersisted(state.data) ? { ...state, data: null } : state;
}

/** Whether the run is completed and its result can be read, so that it must not be run or overwritten carelessly. */
export function isCompletedWithResult(state: State): boolean {
  return state.type === "COMPLETED" && hasPersistedResult(state) && !isEmpty(state.data);
}

/** Prefect: an object without anything in it names no result. An empty list is one. */
function isEmpty(data: unknown): boolean {
  return typeof data === "object" && data !== null && !Array.isArray(data) && Object.keys(data).length === 0;
}

/** Whether the client's API is older than 0.8.`patch`; one that does not say is of today. */
export function isApiBefore({ apiVersion }: Pick<RunContext, "apiVersion">, patch: number): boolean {
  return apiVersion !== null && compareVersions(apiVersion, [0, 8, patch]) < 0;
}

/** Whether the client knows pauses, which came with API version 0.8.4. */
export function knowsPauses(context: Pick<RunContext, "apiVersion">): boolean {
  return !isApiBefore(context, 4);
}

/** Prefect: MIN_CLIENT_VERSION_FOR_CONCURRENCY_LIMIT_LEASING. */
const FIRST_WITH_LEASES = [3, 4, 11] as const;
/** A pre-release, as 3.4.11rc1 and 3.4.11.dev2, comes before its release. */
const PRE_RELEASE = /^\d+\.\d+\.\d+\.?(a|b|rc|dev)/;

/** Whether the client renews the lease on its run's slot, as the stock one does since 3.4.11. */
export function renewsLeases({ clientVersion }: Pick<RunContext, "clientVersion">): boolean {
  const text = clientVersion ?? "";
  const version = parseVersion(text);
  if (version === null) return false;
  const order = compareVersions(version, FIRST_WITH_LEASES);
  return order > 0 || (order === 0 && !PRE_RELEASE.test(text));
}

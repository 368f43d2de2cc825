/** Predicates of a state or a client that more than one rule needs. */
import { compareVersions } from "#lib/versions";
import type { RunContext } from "#orchestration/transition";
import type { FlowRunPolicy } from "#wire/runs";
import type { State } from "#wire/state";

/**
 * Whether a state's data is a result or names a stored result: all data except null and an object of the type "unpersisted". Prefect:
 * for `_has_persisted_result` a list, a text or a number is no result, so a completed run with such a result runs again.
 */
export function hasPersistedResult({ data }: Pick<State, "data">): boolean {
  return data !== null && data !== undefined && !isUnpersisted(data);
}

function isUnpersisted(data: unknown): boolean {
  return typeof data === "object" && data !== null && "type" in data && data.type === "unpersisted";
}

/** The state as it is stored. Data of the type "unpersisted" is not stored; only the answer to the proposal has it. */
export function storedState(state: State): State {
  return isUnpersisted(state.data) ? { ...state, data: null } : state;
}

/** Whether the state is COMPLETED with a result that can be read. Such a state must not be lost. */
export function isCompletedWithResult(state: State): boolean {
  return state.type === "COMPLETED" && hasPersistedResult(state) && !isEmpty(state.data);
}

/** Prefect: an empty object names no result. An empty list is a result. */
function isEmpty(data: unknown): boolean {
  return typeof data === "object" && data !== null && !Array.isArray(data) && Object.keys(data).length === 0;
}

/** Whether the client's API version is before 0.8.`patch`. A client that sends no version counts as having the newest version. */
export function isApiBefore({ apiVersion }: Pick<RunContext, "apiVersion">, patch: number): boolean {
  return apiVersion !== null && compareVersions(apiVersion, [0, 8, patch]) < 0;
}

/** Whether the client knows pauses: since API version 0.8.4. */
export function knowsPauses(context: Pick<RunContext, "apiVersion">): boolean {
  return !isApiBefore(context, 4);
}

/** The policy of a flow run that runs again. Its pauses are removed. */
export function withoutPauses(policy: FlowRunPolicy, retryType: FlowRunPolicy["retry_type"]): FlowRunPolicy {
  return { ...policy, resuming: false, pause_keys: [], retry_type: retryType };
}

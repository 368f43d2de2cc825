/** States: their schemas on the wire, their stored form, and predicates. */
import { namedObject, namedStrictObject } from "#wire/named";
import { HugeText, LongText, ShortText } from "#wire/sizes";
import * as z from "zod";
import type { Ids, Micros } from "#lib/clock";
import { printOptionalTime, printTime, Time, TimeText } from "#wire/dates";
import { Uuid, UuidText } from "#wire/ids";
import { Bool } from "#wire/scalars";

/** The types of states, in Prefect's order. */
export const STATE_TYPES = [
  "SCHEDULED",
  "PENDING",
  "RUNNING",
  "COMPLETED",
  "FAILED",
  "CANCELLED",
  "CRASHED",
  "PAUSED",
  "CANCELLING",
] as const;

export const StateType = z.enum(STATE_TYPES).meta({ id: "StateType" });
export type StateType = z.output<typeof StateType>;

/** The types of states at which a run has ended. A run does not leave such a state by itself. */
export const TERMINAL_TYPES: ReadonlySet<StateType> = new Set<StateType>([
  "COMPLETED",
  "CANCELLED",
  "FAILED",
  "CRASHED",
]);

/** Details of a state in requests. Times become microseconds. Unknown details, from other versions of the client, are ignored. */
export const StateDetailsInput = namedObject("StateDetails", {
  flow_run_id: Uuid.nullish(),
  task_run_id: Uuid.nullish(),
  child_flow_run_id: Uuid.nullish(),
  scheduled_time: Time.nullish(),
  cache_key: LongText.nullish(),
  cache_expiration: Time.nullish(),
  deferred: Bool.nullish(),
  untrackable_result: Bool.optional(),
  pause_timeout: Time.nullish(),
  pause_reschedule: Bool.optional(),
  pause_key: ShortText.nullish(),
  run_input_keyset: z.record(z.string(), z.string()).nullish(),
  refresh_cache: Bool.nullish(),
  retriable: Bool.nullish(),
  transition_id: Uuid.nullish(),
  task_parameters_id: Uuid.nullish(),
  traceparent: ShortText.nullish(),
  deployment_concurrency_lease_id: Uuid.nullish(),
});

/** Details of a state in memory and in the database: only fields that are set, times in microseconds. */
export type StateDetails = z.output<typeof StateDetailsInput>;

/** A state proposed by a client. */
export const StateCreate = namedStrictObject("StateCreate", {
  type: StateType,
  name: ShortText.nullish(),
  message: HugeText.nullish(),
  data: z.unknown().optional(),
  state_details: StateDetailsInput.optional(),
});
export type StateCreate = z.output<typeof StateCreate>;

/** A state of a run, as rules see it and as it is stored. */
export interface State {
  id: string;
  type: StateType;
  name: string;
  timestamp: Micros;
  message: string | null;
  data: unknown;
  state_details: StateDetails;
}

/** Details of a state in an answer: every field is present. */
const StateDetailsText = namedObject("StateDetailsResponse", {
  flow_run_id: UuidText.nullable(),
  task_run_id: UuidText.nullable(),
  child_flow_run_id: UuidText.nullable(),
  scheduled_time: TimeText.nullable(),
  cache_key: z.string().nullable(),
  cache_expiration: TimeText.nullable(),
  deferred: z.boolean().nullable(),
  untrackable_result: z.boolean(),
  pause_timeout: TimeText.nullable(),
  pause_reschedule: z.boolean(),
  pause_key: z.string().nullable(),
  run_input_keyset: z.record(z.string(), z.string()).nullable(),
  refresh_cache: z.boolean().nullable(),
  retriable: z.boolean().nullable(),
  transition_id: UuidText.nullable(),
  task_parameters_id: UuidText.nullable(),
  traceparent: z.string().nullable(),
  deployment_concurrency_lease_id: UuidText.nullable(),
});

/** A state in an answer. */
export const StateText = namedObject("State", {
  id: UuidText,
  type: StateType,
  name: z.string().nullable(),
  timestamp: TimeText,
  message: z.string().nullable(),
  data: z.unknown(),
  state_details: StateDetailsText,
});
export type StateText = z.output<typeof StateText>;

/** The state as answers show it. */
export function printState(state: State): StateText {
  return {
    id: state.id,
    type: state.type,
    name: state.name,
    timestamp: printTime(state.timestamp),
    message: state.message,
    data: state.data ?? null,
    state_details: printStateDetails(state.state_details),
  };
}

/** The details as answers show them, with defaults filled in. */
function printStateDetails(details: StateDetails): z.output<typeof StateDetailsText> {
  return {
    flow_run_id: details.flow_run_id ?? null,
    task_run_id: details.task_run_id ?? null,
    child_flow_run_id: details.child_flow_run_id ?? null,
    scheduled_time: printOptionalTime(details.scheduled_time),
    cache_key: details.cache_key ?? null,
    cache_expiration: printOptionalTime(details.cache_expiration),
    deferred: details.deferred === undefined ? false : details.deferred,
    untrackable_result: details.untrackable_result ?? false,
    pause_timeout: printOptionalTime(details.pause_timeout),
    pause_reschedule: details.pause_reschedule ?? false,
    pause_key: details.pause_key ?? null,
    run_input_keyset: details.run_input_keyset ?? null,
    refresh_cache: details.refresh_cache ?? null,
    retriable: details.retriable ?? null,
    transition_id: details.transition_id ?? null,
    task_parameters_id: details.task_parameters_id ?? null,
    traceparent: details.traceparent ?? null,
    deployment_concurrency_lease_id: details.deployment_concurrency_lease_id ?? null,
  };
}

/** Prefect: `State.default_name_from_type`. A state without a name is named after its type. */
export function defaultStateName(type: StateType): string {
  return type.charAt(0) + type.slice(1).toLowerCase();
}

/** The input of `newState`, besides the clock and the ids. */
export type StateProposal = Pick<StateCreate, "type"> & Partial<Omit<StateCreate, "type">>;

/** Makes a state with the time `now`. Defaults: the name of the type, and `now` as the scheduled time. */
export function newState(proposal: StateProposal, now: Micros, ids: Ids): State {
  const details: StateDetails = { ...proposal.state_details };
  if (proposal.type === "SCHEDULED" && !details.scheduled_time) details.scheduled_time = now;
  return {
    id: ids.ordered(now),
    type: proposal.type,
    name: proposal.name ?? defaultStateName(proposal.type),
    timestamp: now,
    message: proposal.message ?? null,
    data: proposal.data ?? null,
    state_details: details,
  };
}

/** Whether a run in this state has ended. */
export function isTerminal(state: Pick<State, "type">): boolean {
  return TERMINAL_TYPES.has(state.type);
}

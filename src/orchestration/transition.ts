/** The parts of a rule: its context, its rulings and its effects. Pure. */
import type { Ids, Micros } from "#lib/clock";
import type { FlowRunPolicy, TaskRunPolicy } from "#wire/runs";
import {
  STATE_TYPES,
  TERMINAL_TYPES,
  type State,
  type StateDetails,
  type StateProposal,
  type StateType,
} from "#wire/state";

/** The columns that the rules of flow runs and of task runs read and set. Times are in microseconds. */
export interface RunColumns {
  readonly id: string;
  state_type: StateType | null;
  state_name: string | null;
  state_timestamp: Micros | null;
  start_time: Micros | null;
  end_time: Micros | null;
  expected_start_time: Micros | null;
  next_scheduled_start_time: Micros | null;
  total_run_time: Micros;
  run_count: number;
}

/** The flow run as rules see it. */
export interface FlowRunColumns extends RunColumns {
  readonly flow_id: string;
  readonly deployment_id: string | null;
  readonly parent_task_run_id: string | null;
  readonly infrastructure_pid: string | null;
  empirical_policy: FlowRunPolicy;
}

/** The task run as rules see it. */
export interface TaskRunColumns extends RunColumns {
  readonly flow_run_id: string | null;
  readonly tags: readonly string[];
  flow_run_run_count: number;
  empirical_policy: TaskRunPolicy;
}

/** What the rules see of a run's deployment. */
export interface RunDeployment {
  readonly id: string;
  /** The concurrency limit that the deployment's runs share, or null. */
  readonly limit: { readonly id: string; readonly slots: number } | null;
  readonly collision_strategy: "ENQUEUE" | "CANCEL_NEW";
  /** How long a lease lasts before the client has renewed it. */
  readonly grace_period_seconds: number;
  /** Whether a run that is running may not be started a second time. */
  readonly exactly_once: boolean;
}

/**
 * The answer of the ConcurrencyLimits object about the slot of a deployment's limit: `null` before the object was
 * asked, `none` if no limit applies to the run.
 */
export type SlotAnswer = "granted" | "full" | "none" | null;

/** The object's answer about the slots of tags' limits: `null` before the object was asked. A refusal names the tags, and when to ask again. */
export type TagSlotAnswer =
  | { readonly kind: "granted" }
  | { readonly kind: "full"; readonly tags: readonly string[]; readonly retry_after_seconds: number }
  | { readonly kind: "too small"; readonly tags: readonly string[] }
  | null;

/** The flow run of a task run, as the rules for task runs see it. */
export interface EnclosingFlowRun {
  readonly id: string;
  readonly run_count: number;
  readonly state: State | null;
}

/** The data that every rule sees, for a flow run or a task run. */
export interface RunContext {
  readonly run: Readonly<RunColumns>;
  readonly initial: State | null;
  readonly now: Micros;
  readonly ids: Ids;
  /** The client's API version as [major, minor, patch]; null if the client did not send it. */
  readonly apiVersion: readonly [number, number, number] | null;
  /** The version of a Prefect client, e.g. `3.8.8`, from its User-Agent; null for another program. */
  readonly clientVersion: string | null;
  readonly random: () => number;
  /** The id of the lease that the proposal may take. It is the same each time the proposal is decided. */
  readonly leaseId: string;
}

/** All data that a rule for flow runs sees. It is loaded before the rule is asked. */
export interface FlowRunContext extends RunContext {
  readonly run: Readonly<FlowRunColumns>;
  readonly deployment: RunDeployment | null;
  /** Timestamps that a new state must not have, in microseconds. */
  readonly takenTimestamps: readonly Micros[];
  /** The answer about the slot of the deployment's concurrency limit. */
  readonly slot: SlotAnswer;
}

/** All data that a rule for task runs sees. It is loaded before the rule is asked. */
export interface TaskRunContext extends RunContext {
  readonly run: Readonly<TaskRunColumns>;
  readonly flowRun: EnclosingFlowRun | null;
  /** The cached state for the proposal's cache key. */
  readonly cached: State | null;
  /** The answer about the slots of the limits on the run's tags. */
  readonly slots: TagSlotAnswer;
}

/** Statuses of a `set_state` answer. */
export type SetStateStatus = "ACCEPT" | "REJECT" | "ABORT" | "WAIT";

/**
 * What a rule needs before the state is written. The slot is asked for after all rules were asked, so that no slot is
 * taken for a refused state. If the answer is not `granted`, the proposal is decided again with the answer.
 */
export type Need =
  /** With `keep-slot`: the slot that the run has, or, if its lease has expired, a free slot under the same lease. */
  | { kind: "take-slot" | "keep-slot"; limit_id: string; lease_id: string; seconds: number }
  /** Takes no slot. The answer is `full` if no slot is free. */
  | { kind: "see-slots"; limit_id: string; slots: number }
  /** Makes a lease last until the run has ended, for a client that cannot renew it. */
  | { kind: "keep-slot-without-end"; lease_id: string }
  | { kind: "take-tag-slots"; tags: readonly string[]; lease_id: string };

/** An action that a rule wants for its decision. The rule itself does not execute it. */
export type Effect =
  | Need
  | { kind: "release-slot"; lease_id: string }
  | { kind: "release-tag-slots"; tags: readonly string[] }
  | { kind: "update-parent-task-run"; task_run_id: string; state: StateProposal }
  | { kind: "retry-failed-task-runs"; scheduled_time: Micros }
  | { kind: "insert-cache"; cache_key: string; cache_expiration: Micros | null }
  | { kind: "enqueue-task-run"; retry: boolean };

/** Columns that no rule changes. */
type FixedColumn =
  | "id"
  | "flow_id"
  | "deployment_id"
  | "parent_task_run_id"
  | "infrastructure_pid"
  | "flow_run_id"
  | "tags";

/** New values of columns. They are merged into the run in the order of the rules. */
export type Changes<C extends RunContext> = Partial<Omit<C["run"], FixedColumn>>;

/** The columns and effects that belong to a state. */
export interface Consequences<C extends RunContext> {
  changes?: Changes<C>;
  effects?: readonly Effect[];
}

/** What may be changed in a state before it is written. */
export interface Amendments {
  name?: string;
  timestamp?: Micros;
  /** Merged into the state's details. */
  details?: StateDetails;
}

/**
 * The ruling of a rule on a proposed state; `undefined` accepts the state as it is.
 * - `adjust` accepts the state with another name or details, or with columns or effects.
 * - `reject` writes another state in its place; with `null` nothing is written, and the answer has the present state.
 * - `wait` writes nothing: the client proposes again after a delay.
 * - `abort` writes nothing: the client gives up.
 */
export type Ruling<C extends RunContext> =
  | ({ kind: "adjust" } & Amendments & Consequences<C>)
  | ({ kind: "reject"; state: StateProposal | null; reason: string } & Consequences<C>)
  | { kind: "wait"; delaySeconds: number; reason: string }
  | { kind: "abort"; reason: string };

/** Writes `state` in the place of the proposed state, or nothing if there is no `state`. */
export function reject(reason: string, state: StateProposal | null = null): Ruling<RunContext> {
  return { kind: "reject", state, reason };
}

/** Writes nothing: the client gives up. */
export function abort(reason: string): Ruling<RunContext> {
  return { kind: "abort", reason };
}

/** Types of states. `null` means a run that has no state yet. */
export type States = ReadonlySet<StateType | null>;

/** Every type, and a run that has no state yet. */
export const ANY_STATE: States = new Set<StateType | null>([...STATE_TYPES, null]);

/** The types in which a run has ended. */
export const TERMINAL_STATES: States = statesOf(...TERMINAL_TYPES);

/** The types in which a flow run has a slot of its work pool and of its deployment's limit. */
export const HOLDING_STATES: ReadonlySet<string | null> = statesOf("PENDING", "RUNNING", "CANCELLING");

/** The set of these types. */
export function statesOf(...types: readonly StateType[]): States {
  return new Set<StateType | null>(types);
}

/** Every type except these, and a run that has no state yet. */
export function anyStateBut(...types: readonly StateType[]): States {
  return ANY_STATE.difference(statesOf(...types));
}

/**
 * A rule: the transitions that it governs, and pure functions of the context. Each of our rules has the original's name. A rule is asked
 * if it governs the intended transition, from the run's state to the proposed state. After a rule has changed the type of the proposed
 * state, or refused to write a state, the later rules are not asked, and the columns and effects of the earlier rules are dropped.
 */
export interface Rule<C extends RunContext> {
  /** The types of the initial state; any without it. Null is no state. */
  readonly from?: States;
  /** The types of the proposed state; any without it. */
  readonly to?: States;
  decide?(context: C, proposed: State): Ruling<C> | undefined;
  /**
   * Adds columns and effects for the state to write, after all bookkeeping. The last rule of the list is asked first. A
   * rule is not asked if it does not govern the type of that state.
   */
  after?(context: C, written: State): Consequences<C> | undefined;
}

/** A piece of bookkeeping for each written state. It sees the run with the changes of the rules and transforms before it. */
export type Transform<C extends RunContext> = (
  context: C,
  proposed: State,
  status: SetStateStatus,
) => (Amendments & Consequences<C>) | undefined;

/** The decision of a policy. `state` is the state to write; null if none is written. */
export interface Decision<C extends RunContext> {
  readonly status: SetStateStatus;
  readonly state: State | null;
  readonly reason: string | null;
  /** Seconds, with WAIT. */
  readonly delaySeconds: number | null;
  readonly changes: Changes<C>;
  readonly effects: readonly Effect[];
}

/** Rules in the order in which they are asked. */
export type Policy<C extends RunContext> = readonly Rule<C>[];

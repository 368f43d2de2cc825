/** What rules are made of: the context they look at, what they may answer, and what they may want done. Pure. */
import type { Ids, Micros } from "#lib/clock";
import {
  STATE_TYPES,
  TERMINAL_TYPES,
  type State,
  type StateDetails,
  type StateProposal,
  type StateType,
} from "#wire/state";

/** A policy of a flow run, as its row holds it (JSON). Unknown keys are kept. */
export interface FlowRunPolicy {
  max_retries?: number;
  retry_delay_seconds?: number;
  retries?: number | null;
  retry_delay?: number | null;
  pause_keys?: string[] | null;
  resuming?: boolean | null;
  retry_type?: "in_process" | "reschedule" | null;
}

/** A policy of a task run, as its row holds it (JSON). */
export interface TaskRunPolicy {
  max_retries?: number;
  retry_delay_seconds?: number;
  retries?: number | null;
  retry_delay?: number | number[] | null;
  retry_jitter_factor?: number | null;
}

/** The columns that rules of both kinds of run read and set. Times in microseconds. */
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

/** The deployment's part in a decision. */
export interface DeploymentFacts {
  readonly id: string;
  /** The concurrency limit that its runs share, or null. */
  readonly limit: { readonly id: string; readonly slots: number } | null;
  readonly collision_strategy: "ENQUEUE" | "CANCEL_NEW";
  /** How long a slot is kept for a run whose client has not renewed its lease yet. */
  readonly grace_period_seconds: number;
  /** Whether a run that is running may not be started a second time. */
  readonly exactly_once: boolean;
}

/**
 * What the object of the concurrency limits said to what a decision asked of it: `null` before it was asked, `none` where
 * nothing limits the run after all.
 */
export type SlotAnswer = "granted" | "full" | "none" | null;

/** The same for the limits on a task run's tags; refused, it says which are full or too small, and when to ask again. */
export type TagSlotAnswer =
  | { readonly kind: "granted" }
  | { readonly kind: "full"; readonly tags: readonly string[]; readonly retry_after_seconds: number }
  | { readonly kind: "too small"; readonly tags: readonly string[] }
  | null;

/** The enclosing flow run, as rules for task runs see it. */
export interface EnclosingFlowRun {
  readonly id: string;
  readonly run_count: number;
  readonly state: State | null;
}

/** What every rule can look at, whatever kind the run is of. */
export interface RunContext {
  readonly run: Readonly<RunColumns>;
  readonly initial: State | null;
  readonly now: Micros;
  readonly ids: Ids;
  /** The client's API version as [major, minor, patch]; null where it did not say. */
  readonly apiVersion: readonly [number, number, number] | null;
  /** The client's version, e.g. `3.8.8`, from its User-Agent; null where it is another program. */
  readonly clientVersion: string | null;
  readonly random: () => number;
  /** The id of the lease that this proposal may take; the same however often it is decided. */
  readonly leaseId: string;
}

/** All that a rule for flow runs may look at, loaded before it runs. */
export interface FlowRunContext extends RunContext {
  readonly kind: "flow-run";
  readonly run: Readonly<FlowRunColumns>;
  readonly deployment: DeploymentFacts | null;
  /** Timestamps of the run's states so far, in microseconds. */
  readonly takenTimestamps: readonly Micros[];
  /** Of the slot of the deployment's concurrency limit. */
  readonly slot: SlotAnswer;
}

/** All that a rule for task runs may look at, loaded before it runs. */
export interface TaskRunContext extends RunContext {
  readonly kind: "task-run";
  readonly run: Readonly<TaskRunColumns>;
  readonly flowRun: EnclosingFlowRun | null;
  /** The state that the cache holds for the proposal's cache key, if it asked for one. */
  readonly cached: State | null;
  /** Of the slots of the limits on the run's tags. */
  readonly slots: TagSlotAnswer;
}

/** Statuses of a `set_state` answer. */
export type SetStateStatus = "ACCEPT" | "REJECT" | "ABORT" | "WAIT";

/**
 * What a rule needs before the state may be written. It is asked for once all rules have spoken, so that nothing is taken
 * for a state that is refused; if the answer is not `granted`, the proposal is decided again with it.
 */
export type Need =
  | { kind: "take-slot"; limit_id: string; lease_id: string; seconds: number }
  /** A slot that the run holds, or, where its lease has run out, a free one under the same lease. */
  | { kind: "keep-slot"; limit_id: string; lease_id: string; seconds: number }
  /** Only a look: `full` where no slot is free. */
  | { kind: "see-slots"; limit_id: string; slots: number }
  /** The client cannot renew the lease; it lasts until the run has ended. */
  | { kind: "keep-slot-without-end"; lease_id: string }
  | { kind: "take-tag-slots"; tags: readonly string[]; lease_id: string };

/** What a rule wants done by the one who applies the decision; no rule does it itself. */
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

/** Changes of columns, merged into the run in the order of the rules. */
export type Changes<C extends RunContext> = Partial<Omit<C["run"], FixedColumn>>;

/** Columns and effects that go along with a state. */
export interface Consequences<C extends RunContext> {
  changes?: Changes<C>;
  effects?: readonly Effect[];
}

/** What may still be set on a state before it is written. */
export interface Amendments {
  name?: string;
  timestamp?: Micros;
  /** Merged into the state's details. */
  details?: StateDetails;
}

/**
 * What a rule says of a proposal. Nothing said (`undefined`) lets it pass unchanged.
 * - `adjust`: it passes with another name or details, or with columns or effects beside it.
 * - `reject`: another state is written in its place; `null` writes nothing and shows the present state.
 * - `wait`: nothing is written, come back after a delay. - `abort`: nothing is written, give up.
 */
export type Ruling<C extends RunContext> =
  | ({ kind: "adjust" } & Amendments & Consequences<C>)
  | ({ kind: "reject"; state: StateProposal | null; reason: string } & Consequences<C>)
  | { kind: "wait"; delaySeconds: number; reason: string }
  | { kind: "abort"; reason: string };

/** States that a rule governs: a set of types, `null` standing for no state at all. */
export type States = ReadonlySet<StateType | null>;

/** Every type, and no state at all. */
export const ANY_STATE: States = new Set<StateType | null>([...STATE_TYPES, null]);

/** The types a run does not leave by itself. */
export const TERMINAL_STATES: States = new Set<StateType | null>(TERMINAL_TYPES);

/** The types in which a run holds its slots: of its work pool, and of its deployment's limit. */
export const HOLDING_STATES: States = new Set<StateType | null>(["PENDING", "RUNNING", "CANCELLING"]);

/** The types named, as rules write them. */
export function statesOf(...types: readonly StateType[]): States {
  return new Set<StateType | null>(types);
}

/** Every type but those named, and no state at all. */
export function anyStateBut(...types: readonly StateType[]): States {
  return ANY_STATE.difference(statesOf(...types));
}

/**
 * One rule: a name (the original's), the transitions it governs and a pure function over the context.
 * It is chosen by the intended transition (the run's state, the proposed one) and asked only while that is still the
 * transition: once a rule has put another type or nothing in its place, the rest of the list is not asked, and what
 * the rules before it wanted beside the state (columns, effects) is dropped.
 */
export interface Rule<C extends RunContext> {
  readonly name: string;
  readonly from: States;
  readonly to: States;
  decide?(context: C, proposed: State): Ruling<C> | undefined;
  /**
   * What follows once the state stands, seen after all bookkeeping; the last rule of the list comes first.
   * Not asked of a rule that put a state in place which it does not govern, or where nothing is written.
   */
  after?(context: C, written: State): Consequences<C> | undefined;
}

/** Bookkeeping for the state that will be written, whatever rules said; asked in order, on the run with all changes so far. */
export interface Transform<C extends RunContext> {
  readonly name: string;
  apply(context: C, proposed: State, status: SetStateStatus): (Amendments & Consequences<C>) | undefined;
}

/** The whole answer of a policy. `state` is what is to be written, or null where nothing is. */
export interface Decision<C extends RunContext> {
  readonly status: SetStateStatus;
  readonly state: State | null;
  readonly reason: string | null;
  /** Seconds, with WAIT. */
  readonly delaySeconds: number | null;
  readonly changes: Changes<C>;
  readonly effects: readonly Effect[];
}

/** An ordered list of rules; the list is the policy and its order is the documentation. */
export interface Policy<C extends RunContext> {
  readonly name: string;
  readonly rules: readonly Rule<C>[];
}

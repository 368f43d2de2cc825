/** Contexts, states and runs for tests of rules: plain objects with defaults. */
import { decideFlowRun, decideTaskRun } from "#orchestration/decide";
import type {
  Decision,
  RunDeployment,
  FlowRunColumns,
  FlowRunContext,
  Rule,
  TaskRunColumns,
  TaskRunContext,
} from "#orchestration/transition";
import { newState, STATE_TYPES, type State, type StateProposal, type StateType } from "#wire/state";

export const SECOND = 1_000_000;
export const NOW = 1_800_000_000 * SECOND;
export const FLOW_RUN_ID = "00000000-0000-4000-8000-00000000000f";
export const TASK_RUN_ID = "00000000-0000-4000-8000-00000000000a";
export const PARENT_ID = "00000000-0000-4000-8000-00000000000b";
export const LEASE_ID = "00000000-0000-4000-8000-00000000000c";
/** The lease that a proposal may take. */
export const OWN_LEASE_ID = "00000000-0000-4000-8000-00000000000e";
export const LIMIT_ID = "00000000-0000-4000-8000-000000000010";
export const DEPLOYMENT_ID = "00000000-0000-4000-8000-00000000000d";

/** A deployment. Its default limit is two slots. */
export function aDeployment(facts: Partial<RunDeployment> = {}): RunDeployment {
  return {
    id: DEPLOYMENT_ID,
    limit: { id: LIMIT_ID, slots: 2 },
    collision_strategy: "ENQUEUE",
    grace_period_seconds: 300,
    exactly_once: false,
    ...facts,
  };
}

/** A stored result, as in a client's state. */
export const PERSISTED = { type: "reference", storage_key: "key" };

/** Ids from a counter: all differ, and they are the same in each test. */
export function countingIds() {
  let count = 0;
  const next = () => `00000000-0000-4000-9000-${String((count += 1)).padStart(12, "0")}`;
  return { random: next, ordered: next };
}

/** A state with the timestamp `at`, made from a proposal or a type. */
export function aState(proposal: StateProposal | StateType, at = NOW): State {
  return newState(typeof proposal === "string" ? { type: proposal } : proposal, at, countingIds());
}

const NO_TIMES = {
  state_type: null,
  state_name: null,
  state_timestamp: null,
  start_time: null,
  end_time: null,
  expected_start_time: null,
  next_scheduled_start_time: null,
  total_run_time: 0,
  run_count: 0,
} as const;

export interface FlowRunCase extends Partial<Omit<FlowRunContext, "run" | "initial">> {
  run?: Partial<FlowRunColumns>;
  /** The run's state, a minute old. */
  from?: StateProposal | StateType | null;
}

export function aFlowRunContext({ run, from = null, ...rest }: FlowRunCase = {}): FlowRunContext {
  const columns = {
    id: FLOW_RUN_ID,
    flow_id: "00000000-0000-4000-8000-000000000001",
    deployment_id: null,
    parent_task_run_id: null,
    infrastructure_pid: null,
    empirical_policy: {},
    ...NO_TIMES,
    ...run,
  };
  const initial = from === null ? null : aState(from, NOW - 60 * SECOND);
  return {
    run: { ...columns, state_type: initial?.type ?? null, state_name: initial?.name ?? null },
    initial,
    deployment: null,
    takenTimestamps: [],
    slot: null,
    ...common(),
    ...rest,
  };
}

export interface TaskRunCase extends Partial<Omit<TaskRunContext, "run" | "initial">> {
  run?: Partial<TaskRunColumns>;
  from?: StateProposal | StateType | null;
}

export function aTaskRunContext({ run, from = null, ...rest }: TaskRunCase = {}): TaskRunContext {
  const columns = {
    id: TASK_RUN_ID,
    flow_run_id: FLOW_RUN_ID,
    tags: [],
    flow_run_run_count: 0,
    empirical_policy: {},
    ...NO_TIMES,
    ...run,
  };
  const initial = from === null ? null : aState(from, NOW - 60 * SECOND);
  return {
    run: { ...columns, state_type: initial?.type ?? null, state_name: initial?.name ?? null },
    initial,
    flowRun: { id: FLOW_RUN_ID, run_count: 1, state: aState("RUNNING") },
    cached: null,
    slots: null,
    ...common(),
    ...rest,
  };
}

function common() {
  return {
    now: NOW,
    ids: countingIds(),
    apiVersion: null,
    clientVersion: null,
    random: () => 0.5,
    leaseId: OWN_LEASE_ID,
  };
}

/** The decision for a flow run of a policy with only this rule. */
export function askFlowRule(rule: Rule<FlowRunContext>, asked: FlowRunCase, to: StateProposal | StateType) {
  return decideFlowRun([rule], aFlowRunContext(asked), aState(to));
}

/** The decision for a task run of a policy with only this rule. */
export function askTaskRule(rule: Rule<TaskRunContext>, asked: TaskRunCase, to: StateProposal | StateType) {
  return decideTaskRun([rule], aTaskRunContext(asked), aState(to));
}

/** The status of a decision, and the name of its state if it differs from the proposed name. */
export function inShort(
  { status, state }: Pick<Decision<never>, "status" | "state">,
  proposed: StateProposal | StateType,
): string {
  if (state === null || state.name === aState(proposed).name) return status;
  return `${status} ${state.name}`;
}

/**
 * All decisions, from every state to every state, except ACCEPT with the proposed state, as `FROM to TO: STATUS Name`.
 */
export function objections(
  ask: (from: StateType | null, to: StateType) => Pick<Decision<never>, "status" | "state">,
): string[] {
  return [null, ...STATE_TYPES].flatMap((from) =>
    STATE_TYPES.map((to) => `${from ?? "nothing"} to ${to}: ${inShort(ask(from, to), to)}`).filter(
      (line) => !line.endsWith(": ACCEPT"),
    ),
  );
}

/** The context of the flow run after the decision is written. */
export function afterFlowRun(context: FlowRunContext, decision: Decision<FlowRunContext>): FlowRunContext {
  const timestamp = decision.state?.timestamp;
  return {
    ...context,
    run: { ...context.run, ...decision.changes },
    initial: decision.state ?? context.initial,
    takenTimestamps: timestamp === undefined ? context.takenTimestamps : [...context.takenTimestamps, timestamp],
  };
}

/** The context of the task run after the decision is written. */
export function afterTaskRun(context: TaskRunContext, decision: Decision<TaskRunContext>): TaskRunContext {
  return { ...context, run: { ...context.run, ...decision.changes }, initial: decision.state ?? context.initial };
}

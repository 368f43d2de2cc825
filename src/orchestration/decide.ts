/** The engine: asks a policy's rules about a proposal, then keeps the books for what will be written. Pure. */
import { FLOW_RUN_TRANSFORMS, TASK_RUN_TRANSFORMS } from "#orchestration/bookkeeping";
import type {
  Amendments,
  Changes,
  Consequences,
  Decision,
  Effect,
  FlowRunContext,
  Policy,
  Rule,
  Ruling,
  RunContext,
  TaskRunContext,
  Transform,
} from "#orchestration/transition";
import { newState, type State, type StateProposal, type StateType } from "#wire/state";

/** What a policy says of a state proposed for a flow run. */
export function decideFlowRun(
  policy: Policy<FlowRunContext>,
  context: FlowRunContext,
  proposed: State,
): Decision<FlowRunContext> {
  const withChanges = (changes: Changes<FlowRunContext>) => ({ ...context, run: { ...context.run, ...changes } });
  return decide({ policy, transforms: FLOW_RUN_TRANSFORMS, context, withChanges }, proposed);
}

/** What a policy says of a state proposed for a task run. */
export function decideTaskRun(
  policy: Policy<TaskRunContext>,
  context: TaskRunContext,
  proposed: State,
): Decision<TaskRunContext> {
  const withChanges = (changes: Changes<TaskRunContext>) => ({ ...context, run: { ...context.run, ...changes } });
  return decide({ policy, transforms: TASK_RUN_TRANSFORMS, context, withChanges }, proposed);
}

interface Case<C extends RunContext> {
  readonly policy: Policy<C>;
  readonly transforms: readonly Transform<C>[];
  readonly context: C;
  /** The context with its run as it is after these changes. */
  withChanges(changes: Changes<C>): C;
}

/** A decision while rules are still being asked. */
type Verdict = Pick<Decision<RunContext>, "status" | "state" | "reason" | "delaySeconds">;

/** A rule that was asked, the type its answer left in place, and what it wants beside the state. */
interface Asked<C extends RunContext> {
  readonly rule: Rule<C>;
  readonly type: StateType | null;
  readonly wanted: Consequences<C>;
}

function decide<C extends RunContext>(matter: Case<C>, proposed: State): Decision<C> {
  const { verdict, asked } = askRules(matter, proposed);
  if (verdict.state === null) return { ...verdict, changes: merged([]), effects: [] };

  const type = verdict.state.type;
  const standing = asked.filter((one) => one.type === type);
  const wanted = standing.map((one) => one.wanted);
  const state = keepBooks(matter, { ...verdict, state: verdict.state }, wanted);
  for (const { rule } of standing.toReversed()) {
    if (!rule.to.has(type)) continue;
    wanted.push(rule.after?.(matter.withChanges(merged(wanted)), state) ?? {});
  }
  return { ...verdict, state, changes: merged(wanted), effects: effectsOf(wanted) };
}

/** Asks the rules of the intended transition, in order, until one of them changes its type. */
function askRules<C extends RunContext>(matter: Case<C>, proposed: State): { verdict: Verdict; asked: Asked<C>[] } {
  const from = matter.context.initial?.type ?? null;
  const asked: Asked<C>[] = [];
  let verdict: Verdict = { status: "ACCEPT", state: proposed, reason: null, delaySeconds: null };
  for (const rule of matter.policy.rules) {
    if (verdict.state?.type !== proposed.type) break;
    if (!rule.from.has(from) || !rule.to.has(proposed.type)) continue;
    const context = matter.withChanges(merged(asked.map((one) => one.wanted)));
    const ruling = rule.decide?.(context, verdict.state);
    if (ruling) verdict = ruledUpon(verdict, verdict.state, ruling, context);
    asked.push({ rule, type: verdict.state?.type ?? null, wanted: wantedBy(ruling) });
  }
  return { verdict, asked };
}

function ruledUpon<C extends RunContext>(verdict: Verdict, state: State, ruling: Ruling<C>, { now, ids }: C): Verdict {
  switch (ruling.kind) {
    case "adjust":
      return { ...verdict, state: amended(state, ruling) };
    case "reject": {
      const replacement = ruling.state && newState(inPlaceOf(state, ruling.state), now, ids);
      return { status: "REJECT", state: replacement, reason: ruling.reason, delaySeconds: null };
    }
    case "wait":
      return { status: "WAIT", state: null, reason: ruling.reason, delaySeconds: ruling.delaySeconds };
    case "abort":
      return { status: "ABORT", state: null, reason: ruling.reason, delaySeconds: null };
    default:
      return ruling satisfies never;
  }
}

/** A state in the place of the proposed one answers the same proposal: sent again, that is known by its transition's id. */
function inPlaceOf({ state_details: { transition_id } }: State, replacement: StateProposal): StateProposal {
  return transition_id
    ? { ...replacement, state_details: { ...replacement.state_details, transition_id } }
    : replacement;
}

/** Runs the transforms over the state, adding to what is wanted; returns the state as it is to be written. */
function keepBooks<C extends RunContext>(
  matter: Case<C>,
  { state: proposed, status }: Verdict & { state: State },
  wanted: Consequences<C>[],
): State {
  let state = proposed;
  for (const transform of matter.transforms) {
    const entry = transform.apply(matter.withChanges(merged(wanted)), state, status);
    if (!entry) continue;
    state = amended(state, entry);
    wanted.push(entry);
  }
  return state;
}

function amended(state: State, { name, timestamp, details }: Amendments): State {
  return {
    ...state,
    name: name ?? state.name,
    timestamp: timestamp ?? state.timestamp,
    state_details: { ...state.state_details, ...details },
  };
}

function wantedBy<C extends RunContext>(ruling: Ruling<C> | undefined): Consequences<C> {
  return ruling?.kind === "adjust" || ruling?.kind === "reject" ? ruling : {};
}

/** All changes as one, the later over the earlier. */
function merged<C extends RunContext>(wanted: readonly Consequences<C>[]): Changes<C> {
  // Every property of Changes is optional, which the compiler cannot see while C is open.
  return Object.assign({}, ...wanted.map((one) => one.changes)) as Changes<C>;
}

function effectsOf<C extends RunContext>(wanted: readonly Consequences<C>[]): Effect[] {
  return wanted.flatMap((one) => one.effects ?? []);
}

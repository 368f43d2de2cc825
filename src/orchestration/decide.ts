/** The engine. It asks the rules of a policy about a proposed state, then does the bookkeeping for the state to write. Pure. */
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

/** The decision of a policy on a state that is proposed for a flow run. */
export function decideFlowRun(
  policy: Policy<FlowRunContext>,
  context: FlowRunContext,
  proposed: State,
): Decision<FlowRunContext> {
  return decide({ policy, transforms: FLOW_RUN_TRANSFORMS, context }, proposed);
}

/** The decision of a policy on a state that is proposed for a task run. */
export function decideTaskRun(
  policy: Policy<TaskRunContext>,
  context: TaskRunContext,
  proposed: State,
): Decision<TaskRunContext> {
  return decide({ policy, transforms: TASK_RUN_TRANSFORMS, context }, proposed);
}

/** The input of a decision, besides the proposed state. */
interface DecisionInput<C extends RunContext> {
  readonly policy: Policy<C>;
  readonly transforms: readonly Transform<C>[];
  readonly context: C;
}

/** The verdict on the proposed state of the rules that were asked so far. */
type PolicyVerdict = Pick<Decision<RunContext>, "status" | "state" | "reason" | "delaySeconds">;

/** A rule that was asked, the type of the state after the rule's ruling, and the columns and effects that the rule wants. */
interface AskedRule<C extends RunContext> {
  readonly rule: Rule<C>;
  readonly type: StateType | null;
  readonly consequences: Consequences<C>;
}

function decide<C extends RunContext>(input: DecisionInput<C>, proposed: State): Decision<C> {
  const { verdict, asked } = askRules(input, proposed);
  if (verdict.state === null) return { ...verdict, changes: merged([]), effects: [] };

  const type = verdict.state.type;
  const effective = asked.filter((one) => one.type === type);
  const consequences = effective.map((one) => one.consequences);
  const state = applyTransforms(input, { ...verdict, state: verdict.state }, consequences);
  for (const { rule } of effective.toReversed()) {
    if (rule.to && !rule.to.has(type)) continue;
    consequences.push(rule.after?.(contextAfter(input.context, consequences), state) ?? {});
  }
  return { ...verdict, state, changes: merged(consequences), effects: effectsOf(consequences) };
}

/** Asks the rules of the intended transition, in order, until one of them changes the type of the state. */
function askRules<C extends RunContext>(
  input: DecisionInput<C>,
  proposed: State,
): { verdict: PolicyVerdict; asked: AskedRule<C>[] } {
  const from = input.context.initial?.type ?? null;
  const asked: AskedRule<C>[] = [];
  let verdict: PolicyVerdict = { status: "ACCEPT", state: proposed, reason: null, delaySeconds: null };
  for (const rule of input.policy) {
    if (verdict.state?.type !== proposed.type) break;
    if ((rule.from && !rule.from.has(from)) || (rule.to && !rule.to.has(proposed.type))) continue;
    const context = contextAfter(
      input.context,
      asked.map((one) => one.consequences),
    );
    const ruling = rule.decide?.(context, verdict.state);
    if (ruling) verdict = verdictAfter(verdict, verdict.state, ruling, context);
    asked.push({ rule, type: verdict.state?.type ?? null, consequences: consequencesOf(ruling) });
  }
  return { verdict, asked };
}

function verdictAfter<C extends RunContext>(
  verdict: PolicyVerdict,
  state: State,
  ruling: Ruling<C>,
  { now, ids }: C,
): PolicyVerdict {
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

/** The state that replaces a proposed state has the proposal's transition id, by which a repeated proposal is recognised. */
function inPlaceOf({ state_details: { transition_id } }: State, replacement: StateProposal): StateProposal {
  return transition_id
    ? { ...replacement, state_details: { ...replacement.state_details, transition_id } }
    : replacement;
}

/** Applies the transforms to the state, and adds to `consequences`. Returns the state to write. */
function applyTransforms<C extends RunContext>(
  input: DecisionInput<C>,
  { state: proposed, status }: PolicyVerdict & { state: State },
  consequences: Consequences<C>[],
): State {
  let state = proposed;
  for (const transform of input.transforms) {
    const entry = transform(contextAfter(input.context, consequences), state, status);
    if (!entry) continue;
    state = amended(state, entry);
    consequences.push(entry);
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

function consequencesOf<C extends RunContext>(ruling: Ruling<C> | undefined): Consequences<C> {
  return ruling?.kind === "adjust" || ruling?.kind === "reject" ? ruling : {};
}

/** The context with all changes applied to its run. */
function contextAfter<C extends RunContext>(context: C, consequences: readonly Consequences<C>[]): C {
  return { ...context, run: { ...context.run, ...merged(consequences) } };
}

/** All changes in one object. A later change replaces an earlier one. */
function merged<C extends RunContext>(consequences: readonly Consequences<C>[]): Changes<C> {
  // Every property of Changes is optional. The compiler cannot see this, because C is generic.
  return Object.assign({}, ...consequences.map((one) => one.changes)) as Changes<C>;
}

function effectsOf<C extends RunContext>(consequences: readonly Consequences<C>[]): Effect[] {
  return consequences.flatMap((one) => one.effects ?? []);
}

/** A state is proposed for a flow run: load, decide, secure, commit, and tell those who must know. */
import { sql } from "drizzle-orm";
import { isPassing, type Statement } from "#db/database";
import { type KeptIds, keepStateId } from "#db/state-pages";
import { flow_run } from "#db/tables/flow-run";
import { emitEvents } from "#events/emit";
import { flowRunStateEvent } from "#events/lifecycle";
import { missingObject, unavailable } from "#lib/api-error";
import type { Ids } from "#lib/clock";
import { cancelChildren } from "#orchestration/cancel-children";
import {
  assignments,
  changedOnly,
  insertStates,
  type ParentUpdate,
  parentUpdate,
  stateRow,
  storedChanges,
} from "#orchestration/statements";
import { deploymentFactsOf, flowRunContext } from "#orchestration/context";
import { decideFlowRun } from "#orchestration/decide";
import { factsOf, joinedState, type LoadedFlowRun, type LoadedRow, loadFlowRun } from "#orchestration/load-flow-run";
import { CoreFlowPolicy, MinimalFlowPolicy } from "#orchestration/policies";
import { storedState } from "#orchestration/predicates";
import { recall, remember } from "#orchestration/recent-runs";
import { RunSlots } from "#orchestration/run-slots";
import type { Orchestrated } from "#orchestration/result";
import { retryFailedTaskRuns } from "#orchestration/retry-failed-task-runs";
import { releaseSlots } from "#orchestration/secure-slots";
import { shutOut } from "#orchestration/shut-out";
import { isNewsToPool, liveRunOf, tellPools } from "#orchestration/tell-pools";
import type { Decision, FlowRunContext, Policy } from "#orchestration/transition";
import { stateOf } from "#db/rows/flow-runs";
import type { Tools } from "#tools";
import { newState, type State, type StateProposal } from "#wire/state";

/** How often a proposal that others overtook is decided anew before the client is asked to come back. */
const MAX_TRIES = 40;
const MAX_PAUSE_MS = 40;

/** How a proposal is made. */
export interface SetStateOptions {
  /** Bypasses the rules but those that keep results and cancellations whole. */
  force?: boolean;
  /** The policy in the place of the core policy. */
  policy?: Policy<FlowRunContext>;
  /** Statements for the batch of an accepted state; each must ask whether the run has come into it. */
  alongside?: (stateId: string) => readonly Statement[];
}

/**
 * Proposes a state. Proposals at the same moment are decided one after the other, each on the state that the one before
 * it left: a commit names the state it was decided on, and whoever lost starts again. Slots are taken before the commit;
 * those of a proposal that was not written after all are given back. Where D1 fails during a commit, the next try sees
 * whether it has landed. Throws 404 for an unknown run, and 503 where others were always faster.
 */
export async function setFlowRunState(
  tools: Tools,
  flowRunId: string,
  proposal: StateProposal,
  options: SetStateOptions = {},
): Promise<Orchestrated> {
  const slots = new RunSlots(tools, flowRunId);
  try {
    return await propose(tools, flowRunId, proposal, { ...options, slots });
  } finally {
    await slots.giveBackUnused();
  }
}

async function propose(
  tools: Tools,
  flowRunId: string,
  proposal: StateProposal,
  options: SetStateOptions & { slots: RunSlots },
): Promise<Orchestrated> {
  // Commits whose outcome is unknown. Each has a state id of its own, by which it is recognised whenever it lands.
  const unknown: Attempt[] = [];
  try {
    return await proposeUntilKnown(tools, flowRunId, proposal, { ...options, unknown });
  } catch (error) {
    // The state may be written yet, and then the run holds what was taken for it.
    if (unknown.length > 0) options.slots.leave();
    throw error;
  }
}

async function proposeUntilKnown(
  tools: Tools,
  flowRunId: string,
  proposal: StateProposal,
  { force = false, policy = CoreFlowPolicy, alongside, slots, unknown }: ProposalInProgress,
): Promise<Orchestrated> {
  let recalled = recall(tools.workspaceId, flowRunId);
  for (let tries = 1; tries <= MAX_TRIES; tries++) {
    const loaded = recalled ?? (await loadFlowRun(tools.db, tools.workspaceId, flowRunId));
    if (!loaded) throw missingObject(`Flow run with id ${flowRunId} not found`);
    const landed = unknown.find(({ state }) => loaded.row.state_ids.includes(state.id));
    if (landed) return finish(tools, landed, slots, loaded.row.state_id === landed.state.id);
    const context = contextOf(tools, loaded, idsOfOneState(tools), slots.leaseId);
    const ask = { policy: force ? MinimalFlowPolicy : policy, proposed: newState(proposal, context.now, context.ids) };
    const decision = await slots.secure(decideFlowRun(ask.policy, context, ask.proposed), loaded, {
      isForced: force,
      decideAgain: (slot) => decideFlowRun(ask.policy, { ...context, slot }, ask.proposed),
    });
    const fromMemory = recalled !== undefined;
    recalled = undefined;
    if (!decision.state) {
      // A refusal is final only when it was made on what D1 has, and when nothing is on its way there any more.
      if (fromMemory || (unknown.length > 0 && !(await shutOut(tools, flow_run, loaded.row)))) continue;
      return { decision, state: context.initial, written: false };
    }
    const attempt = prepare(tools, loaded, context, { decision, state: decision.state });
    const extra = decision.status === "ACCEPT" ? (alongside?.(attempt.state.id) ?? []) : [];
    const outcome = await commit(tools, loaded.row, attempt, extra);
    if (outcome === "written") return finish(tools, attempt, slots, true);
    if (outcome === "unknown") unknown.push(attempt);
    if (!fromMemory) await pause(tools, tries);
  }
  throw unavailable("Other changes of this flow run were always faster", 1);
}

type ProposalInProgress = SetStateOptions & { slots: RunSlots; unknown: Attempt[] };

/** Whatever state comes of a decision, it has one id. */
function idsOfOneState(tools: Tools): Ids {
  const stateId = tools.ids.ordered(tools.clock());
  return { random: () => tools.ids.random(), ordered: () => stateId };
}

function contextOf(tools: Tools, { row }: LoadedFlowRun, ids: Ids, leaseId: string): FlowRunContext {
  return flowRunContext(tools, row, { initial: stateOf(row), deployment: deploymentFactsOf(row), ids, leaseId });
}

/** A decision as it is to be written. */
interface Attempt {
  loaded: LoadedFlowRun;
  initial: State | null;
  decision: Decision<FlowRunContext>;
  state: State;
  /** The changed columns of the run. */
  values: Record<string, string | number | null>;
  /** What becomes of the ids of the run's states. */
  kept: KeptIds;
  /** How the parent's task run follows. */
  parent: ParentUpdate;
}

function prepare(
  tools: Tools,
  loaded: LoadedFlowRun,
  context: FlowRunContext,
  { decision, state }: Pick<Attempt, "decision" | "state">,
): Attempt {
  const { row, parentTaskRun } = loaded;
  const values = { ...changedOnly(row, storedChanges(decision.changes)), state_id: state.id, updated: context.now };
  const kept = keepStateId(tools.workspaceId, row, state.id);
  const parent = parentUpdate(tools, row.id, { state, effects: decision.effects }, parentTaskRun, context.now);
  return { loaded, initial: context.initial, decision, state, values, kept, parent };
}

/** Writes an attempt in one batch; `lost` where the run had changed since it was read. */
async function commit(
  tools: Tools,
  row: LoadedRow,
  { state, values, kept, parent }: Attempt,
  extra: readonly Statement[],
): Promise<"written" | "lost" | "unknown"> {
  const { workspaceId, db } = tools;
  const update = sql`update ${flow_run} set ${assignments(values)}, state_ids = ${kept.assignment}
    where workspace_id = ${workspaceId} and id = ${row.id} and state_id is ${row.state_id} and updated = ${row.updated}`;
  try {
    const [updated] = await db.batch([
      update,
      insertStates([stateRow(workspaceId, row.id, state)]),
      ...kept.statements,
      ...parent.statements,
      ...extra,
    ]);
    return updated?.changes ? "written" : "lost";
  } catch (error) {
    if (!isPassing(error)) throw error;
    return "unknown";
  }
}

/** What follows from an attempt that was written; `isPresent` says whether the run is in that state still. */
async function finish(tools: Tools, attempt: Attempt, slots: RunSlots, isPresent: boolean): Promise<Orchestrated> {
  const { loaded, decision, state, values, kept } = attempt;
  const own = { ...values, state_ids: kept.state_ids, ...joinedState(storedState(state)) };
  const row = { ...loaded.row, ...own } satisfies LoadedRow;
  // Whoever has changed the run since has told its pool of something newer.
  const isPoolTold = slots.use(decision) || !isPresent;
  if (isPresent) remember(tools.workspaceId, { ...loaded, row });
  await afterCommit(tools, { ...loaded, row }, attempt, isPoolTold);
  return { decision, state, written: true };
}

/** Tells the work pool, makes the event, and does what the rules wanted done besides. */
async function afterCommit(
  tools: Tools,
  loaded: LoadedFlowRun,
  { initial, decision: { effects }, state, parent }: Attempt,
  isPoolTold: boolean,
): Promise<void> {
  const { row, parentTaskRun } = loaded;
  tools.background(emitEvents(tools, [flowRunStateEvent(factsOf(loaded, initial, state))]));
  await releaseSlots(tools, row.id, effects);
  if (parentTaskRun) await releaseSlots(tools, parentTaskRun.id, parent.effects);
  const retry = effects.find((effect) => effect.kind === "retry-failed-task-runs");
  if (retry) await retryFailedTaskRuns(tools, row.id, retry.scheduled_time);
  if (state.type === "CANCELLED") tools.background(cancelChildren(tools, row.id, setFlowRunState));
  const live = liveRunOf(row, state.type);
  if (live && !isPoolTold && isNewsToPool(initial?.type ?? null, state.type)) await tellPools(tools, [live]);
}

function pause(tools: Tools, tries: number): Promise<void> {
  const milliseconds = tools.random() * Math.min(MAX_PAUSE_MS, 2 * tries);
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** A state is proposed for a flow run: load, decide, secure, commit, and tell those who must know. */
import { sql } from "drizzle-orm";
import { isPassing, type Statement } from "#db/database";
import { flow_run, flow_run_state } from "#db/tables/flow-run";
import { emitEvents } from "#events/emit";
import { flowRunStateEvent } from "#events/lifecycle";
import { missingObject, unavailable } from "#lib/api-error";
import type { Ids } from "#lib/clock";
import { cancelChildren } from "#orchestration/cancel-children";
import {
  assignments,
  changedOnly,
  followInParent,
  insertStates,
  stateRow,
  storedChanges,
} from "#orchestration/commit-flow-run";
import { decideFlowRun } from "#orchestration/decide";
import {
  columnsOf,
  deploymentFactsOf,
  factsOf,
  joinedState,
  type LoadedFlowRun,
  type LoadedRow,
  loadFlowRun,
} from "#orchestration/loaded";
import { CoreFlowPolicy, MinimalFlowPolicy } from "#orchestration/policies";
import { storedState } from "#orchestration/predicates";
import { recall, remember } from "#orchestration/recent-runs";
import { RunSlots } from "#orchestration/run-slots";
import type { Orchestrated } from "#orchestration/result";
import { retryFailedTaskRuns } from "#orchestration/retry-failed-task-runs";
import { releaseSlots } from "#orchestration/secure-slots";
import { isNewsToPool, liveRunOf, tellPools } from "#orchestration/tell-pools";
import type { Decision, Effect, FlowRunContext, Policy } from "#orchestration/transition";
import { stateOf } from "#resources/flow-runs/store";
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
 * those of a proposal that was not written after all are given back. Throws 404 for an unknown run, and 503 where
 * others were always faster.
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
  { force = false, policy = CoreFlowPolicy, alongside, slots }: SetStateOptions & { slots: RunSlots },
): Promise<Orchestrated> {
  // One id for all tries: a try whose outcome is unknown is recognised by it.
  const stateId = tools.ids.ordered(tools.clock());
  const ids: Ids = { random: () => tools.ids.random(), ordered: () => stateId };
  let recalled = recall(tools.workspaceId, flowRunId);
  for (let tries = 1; tries <= MAX_TRIES; tries++) {
    const loaded = recalled ?? (await loadFlowRun(tools.db, tools.workspaceId, flowRunId));
    if (!loaded) throw missingObject(`Flow run with id ${flowRunId} not found`);
    const context = contextOf(tools, loaded, ids, slots.leaseId);
    const ask = { policy: force ? MinimalFlowPolicy : policy, proposed: newState(proposal, context.now, ids) };
    const decision = await slots.secure(decideFlowRun(ask.policy, context, ask.proposed), loaded, {
      isForced: force,
      decideAgain: (slot) => decideFlowRun(ask.policy, { ...context, slot }, ask.proposed),
    });
    const fromMemory = recalled !== undefined;
    recalled = undefined;
    if (!decision.state) {
      // A refusal is final only when it was made on what D1 has.
      if (fromMemory) continue;
      return { decision, state: context.initial, written: false };
    }
    const extra = decision.status === "ACCEPT" ? (alongside?.(stateId) ?? []) : [];
    const committed = await commit(tools, loaded, context, { decision, state: decision.state, extra });
    if (committed) {
      const { row, parentEffects } = committed;
      const isPoolTold = slots.use(decision);
      const written = { decision, state: decision.state, isPoolTold, parentEffects };
      await afterCommit(tools, { ...loaded, row }, context.initial, written);
      return { decision, state: decision.state, written: true };
    }
    if (!fromMemory) await pause(tools, tries);
  }
  throw unavailable("Other changes of this flow run were always faster", 1);
}

function contextOf(tools: Tools, { row }: LoadedFlowRun, ids: Ids, leaseId: string): FlowRunContext {
  const initial = stateOf(row);
  return {
    kind: "flow-run",
    run: columnsOf(row),
    initial,
    deployment: deploymentFactsOf(row),
    takenTimestamps: initial ? [initial.timestamp] : [],
    slot: null,
    leaseId,
    now: tools.clock(),
    ids,
    apiVersion: tools.client.apiVersion,
    clientVersion: tools.client.version,
    random: tools.random,
  };
}

/** A run as it was written, and what its parent's task run lets go of by following it. */
interface Committed {
  row: LoadedRow;
  parentEffects: readonly Effect[];
}

/** Writes the decision in one batch; gives the row as it stands then, or null where the run had changed since it was read. */
async function commit(
  tools: Tools,
  { row, parentTaskRun }: LoadedFlowRun,
  context: FlowRunContext,
  { decision, state, extra }: { decision: Decision<FlowRunContext>; state: State; extra: readonly Statement[] },
): Promise<Committed | null> {
  const { workspaceId, db } = tools;
  const values = { ...changedOnly(row, storedChanges(decision.changes)), state_id: state.id, updated: context.now };
  const update = sql`update ${flow_run} set ${assignments(values)}, state_ids = json_insert(state_ids, '$[#]', ${state.id})
    where workspace_id = ${workspaceId} and id = ${row.id} and state_id is ${row.state_id} and updated = ${row.updated}`;
  // The parent's states have ids of their own.
  const circumstances = { ...context, ids: tools.ids };
  const parent = followInParent(workspaceId, row.id, state, decision.effects, parentTaskRun, circumstances);
  const written = {
    row: { ...row, ...values, ...joinedState(storedState(state)) } satisfies LoadedRow,
    parentEffects: parent.effects,
  };
  try {
    const [updated] = await db.batch([
      update,
      insertStates([stateRow(workspaceId, row.id, state)]),
      ...parent.statements,
      ...extra,
    ]);
    return updated?.changes ? written : null;
  } catch (error) {
    if (!isPassing(error)) throw error;
    // The outcome is unknown. If our id is there, it was committed.
    const found = await db.rows(sql`select 1 from ${flow_run_state} where id = ${state.id}`);
    return found.length > 0 ? written : null;
  }
}

/** Tells the work pool, makes the event, and does what the rules wanted done besides. */
async function afterCommit(
  tools: Tools,
  loaded: LoadedFlowRun,
  initial: State | null,
  { decision: { effects }, state, isPoolTold, parentEffects }: Written,
): Promise<void> {
  const { row, parentTaskRun } = loaded;
  remember(tools.workspaceId, loaded);
  tools.background(emitEvents(tools, [flowRunStateEvent(factsOf(loaded, initial, state))]));
  await releaseSlots(tools, row.id, effects);
  if (parentTaskRun) await releaseSlots(tools, parentTaskRun.id, parentEffects);
  const retry = effects.find((effect) => effect.kind === "retry-failed-task-runs");
  if (retry) await retryFailedTaskRuns(tools, row.id, retry.scheduled_time);
  if (state.type === "CANCELLED") tools.background(cancelChildren(tools, row.id, setFlowRunState));
  const live = liveRunOf(row, state.type);
  if (live && !isPoolTold && isNewsToPool(initial?.type ?? null, state.type)) await tellPools(tools, [live]);
}

/** A decision that was written. */
interface Written {
  decision: Decision<FlowRunContext>;
  state: State;
  /** Whether the pool's object has heard of it, for it was asked for a slot. */
  isPoolTold: boolean;
  /** What the parent's task run lets go of. */
  parentEffects: readonly Effect[];
}

function pause(tools: Tools, tries: number): Promise<void> {
  const milliseconds = tools.random() * Math.min(MAX_PAUSE_MS, 2 * tries);
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

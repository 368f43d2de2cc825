/** The flow-run part of a change of state: load, decide, write, and the effects afterwards. */
import { sql } from "drizzle-orm";
import type { Statement } from "#db/database";
import { stateOf } from "#db/rows/flow-runs";
import { flowPolicyForm } from "#db/short/policy";
import { keepStateId } from "#db/state-pages";
import { flow_run } from "#db/tables/flow-run";
import { emitEvents } from "#events/emit";
import { flowRunStateEvent } from "#events/lifecycle";
import { missingObject } from "#lib/api-error";
import type { Micros } from "#lib/clock";
import { changeRun, type Commit, type RunChange, type WritableDecision } from "#orchestration/change-run";
import { deploymentOf, flowRunContext } from "#orchestration/context";
import { decideFlowRun } from "#orchestration/decide";
import { factsOf, joinedState, type LoadedFlowRun, type LoadedRow, loadFlowRun } from "#orchestration/load-flow-run";
import { type Move, moveTaskRuns } from "#orchestration/move-task-runs";
import { CoreFlowPolicy, MinimalFlowPolicy } from "#orchestration/policies";
import { storedState } from "#orchestration/predicates";
import { recall, remember } from "#orchestration/recent-runs";
import type { Orchestrated } from "#orchestration/result";
import { FlowRunSlots, releaseSlots } from "#orchestration/secure-slots";
import {
  assignments,
  changedOnly,
  insertStates,
  parentUpdate,
  stateRow,
  storedChanges,
} from "#orchestration/statements";
import { isNewsToPool, liveRunOf, tellPools } from "#orchestration/tell-pools";
import type { FlowRunContext, Policy } from "#orchestration/transition";
import type { Tools } from "#tools";
import type { StateProposal } from "#wire/state";

/** How a state is proposed for a flow run. */
export interface FlowRunChangeOptions {
  /** Uses the minimal policy. Its rules only protect results and cancellations. */
  force?: boolean;
  /** Uses this policy instead of the core policy. */
  policy?: Policy<FlowRunContext>;
  /** More statements for the batch of an accepted state. Each must change nothing unless the run is in that state. */
  alongside?: (stateId: string) => readonly Statement[];
}

/** Proposes a state for a flow run, without a change of its children. Throws as `changeRun` does. */
export function changeFlowRun(
  tools: Tools,
  flowRunId: string,
  proposal: StateProposal,
  { force = false, policy = CoreFlowPolicy, alongside = () => [] }: FlowRunChangeOptions,
): Promise<Orchestrated> {
  const slots = new FlowRunSlots(tools, flowRunId, force);
  const change: RunChange<FlowRunContext, LoadedFlowRun> = {
    noun: "flow run",
    table: flow_run,
    slots,
    recall: () => recall(tools.workspaceId, flowRunId),
    load: async () => {
      const loaded = await loadFlowRun(tools.db, tools.workspaceId, flowRunId);
      if (!loaded) throw missingObject(`Flow run with id ${flowRunId} not found`);
      return loaded;
    },
    hasHadState: ({ row }, stateId) => row.state_ids.includes(stateId),
    contextOf: ({ row }) =>
      flowRunContext(tools, row, {
        initial: stateOf(row),
        deployment: deploymentOf(row),
        leaseId: slots.leaseId,
      }),
    decide: (context, proposed) => decideFlowRun(force ? MinimalFlowPolicy : policy, context, proposed),
    commitOf: (loaded, context, decision) => {
      const more = decision.status === "ACCEPT" ? alongside(decision.state.id) : [];
      return commitOf(tools, slots, loaded, { context, decision, more });
    },
  };
  return changeRun(tools, change, proposal);
}

interface DecidedFlowRun {
  context: FlowRunContext;
  decision: WritableDecision<FlowRunContext>;
  more: readonly Statement[];
}

function commitOf(
  tools: Tools,
  slots: FlowRunSlots,
  { row, parentTaskRun }: LoadedFlowRun,
  { context, decision, more }: DecidedFlowRun,
): Commit {
  const { workspaceId } = tools;
  const { state, changes, effects } = decision;
  const values = {
    ...changedOnly(row, storedChanges(changes, flowPolicyForm)),
    state_id: state.id,
    updated: context.now,
  };
  const kept = keepStateId(workspaceId, row, state.id);
  const parent = parentUpdate(tools, row.id, decision, parentTaskRun, context.now);
  const update = sql`update ${flow_run} set ${assignments(values)}, state_ids = ${kept.assignment}
    where workspace_id = ${workspaceId} and id = ${row.id} and state_id is ${row.state_id} and updated = ${row.updated}`;
  return {
    decision,
    statements: [
      update,
      insertStates([stateRow(workspaceId, row.id, state)]),
      ...kept.statements,
      ...parent.statements,
      ...more,
    ],
    async finish(isPresent) {
      const own = { ...values, state_ids: kept.state_ids, ...joinedState(storedState(state)) };
      const written = { row: { ...row, ...own } satisfies LoadedRow, parentTaskRun };
      const isPoolTold = slots.use(decision);
      if (isPresent) remember(workspaceId, written);
      tools.background(emitEvents(tools, [flowRunStateEvent(factsOf(written, context.initial, state))]));
      await releaseSlots(tools, row.id, effects);
      if (parentTaskRun) await releaseSlots(tools, parentTaskRun.id, parent.effects);
      const retry = effects.find((effect) => effect.kind === "retry-failed-task-runs");
      if (retry) await moveTaskRuns(tools, row.id, awaitingRetry(retry.scheduled_time));
      // If the run is no longer in this state, the newer change has notified the pool of the newer state.
      const isNews = isPresent && !isPoolTold && isNewsToPool(context.initial?.type ?? null, state.type);
      const live = liveRunOf(written.row, state.type);
      if (live && isNews) await tellPools(tools, [live]);
    },
  };
}

/** Prefect: a client before API 0.8.3 expects the failed task runs of a retried flow run to become AwaitingRetry, too. */
function awaitingRetry(scheduledTime: Micros): Move {
  return {
    from: sql.raw("('FAILED')"),
    proposal: { type: "SCHEDULED", name: "AwaitingRetry", state_details: { scheduled_time: scheduledTime } },
    changes: { run_count: 0 },
  };
}

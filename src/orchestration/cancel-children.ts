/** A run is cancelled with all that belongs to it: its task runs, and the subflows that it waits for. */
import { sql } from "drizzle-orm";
import { flow_run } from "#db/tables/flow-run";
import { task_run } from "#db/tables/task-run";
import { presentStateOf, taskRunColumnsOf, updateTaskRun } from "#orchestration/commit-flow-run";
import { decideTaskRun } from "#orchestration/decide";
import type { TaskRunRow } from "#orchestration/loaded";
import { onlyWhile } from "#orchestration/only-while";
import { MinimalFlowPolicy, MinimalTaskPolicy } from "#orchestration/policies";
import { releaseSlots } from "#orchestration/secure-slots";
import type { Effect, FlowRunContext, Policy } from "#orchestration/transition";
import type { Tools } from "#tools";
import { isTerminal, newState, type StateProposal } from "#wire/state";

/** How many children are read at a time, and how often; the sweep comes back to what is left. */
const AT_ONCE = 100;
const ROUNDS = 50;
/** How many subflows are told at the same moment. */
const SUBFLOWS_TOLD_AT_ONCE = 10;
const MESSAGE = "The parent flow run was cancelled.";
/** The types of those that have not ended, as a list in SQL. */
export const UNENDED = sql.raw("('SCHEDULED', 'PENDING', 'RUNNING', 'PAUSED', 'CANCELLING')");

/** How a state is proposed for a flow run: `setFlowRunState`, which itself calls what is here. */
export type ProposeFlowRunState = (
  tools: Tools,
  flowRunId: string,
  proposal: StateProposal,
  options: { policy: Policy<FlowRunContext> },
) => Promise<unknown>;

/**
 * Cancels what has not ended of a run that is cancelled. Twice at once is as good as once: each change names the state
 * that it was decided on, and who has ended by then stays as he is.
 */
export async function cancelChildren(tools: Tools, flowRunId: string, propose: ProposeFlowRunState): Promise<void> {
  if (!tools.settings.services.cancellation_cleanup.enabled) return;
  await cancelSubflows(tools, flowRunId, propose);
  await cancelTaskRuns(tools, flowRunId);
}

interface Subflow {
  id: string;
  deployment_id: string | null;
}

async function cancelSubflows(tools: Tools, flowRunId: string, propose: ProposeFlowRunState): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    const subflows = await tools.db.rows<Subflow>(selectSubflows(tools.workspaceId, flowRunId));
    for (let from = 0; from < subflows.length; from += SUBFLOWS_TOLD_AT_ONCE) {
      const some = subflows.slice(from, from + SUBFLOWS_TOLD_AT_ONCE);
      await Promise.all(some.map((subflow) => cancelSubflow(tools, subflow, propose)));
    }
    if (subflows.length < AT_ONCE) return;
  }
}

/** Subflows that have not ended. One with a deployment has a process of its own, which is told once, by Cancelling. */
export function selectSubflows(workspaceId: string, flowRunId: string) {
  return sql`select r.id, r.deployment_id from ${task_run} t
    cross join ${flow_run} r on r.workspace_id = t.workspace_id and r.parent_task_run_id = t.id
    where t.workspace_id = ${workspaceId} and t.flow_run_id = ${flowRunId} and r.parent_task_run_id is not null
      and r.state_type in ${UNENDED} and (r.deployment_id is null or r.state_type <> 'CANCELLING')
    limit ${AT_ONCE}`;
}

async function cancelSubflow(tools: Tools, { id, deployment_id }: Subflow, propose: ProposeFlowRunState) {
  const policy = onlyWhile(({ initial }) => initial !== null && !isTerminal(initial), MinimalFlowPolicy);
  const type = deployment_id === null ? "CANCELLED" : "CANCELLING";
  try {
    await propose(tools, id, { type, message: MESSAGE }, { policy });
  } catch (error) {
    // The others are cancelled all the same, and the sweep comes back to this one.
    console.error(`subflow ${id} of a cancelled run was not cancelled`, error);
  }
}

async function cancelTaskRuns(tools: Tools, flowRunId: string): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    const rows = await tools.db.rows<TaskRunRow>(selectTaskRuns(tools.workspaceId, flowRunId));
    const cancelled = rows.flatMap((row) => cancelledTaskRun(tools, row));
    const written = await tools.db.batch(cancelled.map(({ statement }) => statement));
    const released = cancelled.filter((_, index) => written[index]?.changes);
    await Promise.all(released.map(({ id, effects }) => releaseSlots(tools, id, effects)));
    if (rows.length < AT_ONCE) return;
  }
}

/** Task runs that have not ended. */
export function selectTaskRuns(workspaceId: string, flowRunId: string) {
  return sql`select * from ${task_run} where ${task_run.workspace_id} = ${workspaceId}
    and ${task_run.flow_run_id} = ${flowRunId} and ${task_run.state_type} in ${UNENDED} limit ${AT_ONCE}`;
}

/** The statement that cancels a task run if it is still in the state it was read in, and what follows from it. */
function cancelledTaskRun(
  tools: Tools,
  row: TaskRunRow,
): { id: string; statement: ReturnType<typeof updateTaskRun>; effects: readonly Effect[] }[] {
  const now = tools.clock();
  const context = {
    kind: "task-run",
    run: taskRunColumnsOf(row),
    initial: presentStateOf(row),
    flowRun: null,
    cached: null,
    slots: null,
    leaseId: tools.ids.random(),
    now,
    ids: tools.ids,
    apiVersion: null,
    clientVersion: null,
    random: tools.random,
  } as const;
  const proposed = newState({ type: "CANCELLED", message: MESSAGE }, now, tools.ids);
  const { state, changes, effects } = decideTaskRun(MinimalTaskPolicy, context, proposed);
  if (!state) return [];
  const statement = updateTaskRun(tools.workspaceId, row, state, changes, sql`state_id is ${row.state_id}`, now);
  return [{ id: row.id, statement, effects }];
}

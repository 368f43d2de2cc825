/** A run is cancelled with all that belongs to it: its task runs, and the subflows that it waits for. */
import { sql } from "drizzle-orm";
import { flow_run } from "#db/tables/flow-run";
import { task_run } from "#db/tables/task-run";
import { chunks } from "#lib/chunks";
import { log } from "#lib/log";
import { moveTaskRuns } from "#orchestration/move-task-runs";
import { onlyWhile } from "#orchestration/only-while";
import { MinimalFlowPolicy } from "#orchestration/policies";
import type { FlowRunContext, Policy } from "#orchestration/transition";
import type { Tools } from "#tools";
import { isTerminal, type StateProposal } from "#wire/state";

/** How many subflows are read at a time, and how often; the sweep comes back to what is left. */
const AT_ONCE = 100;
const ROUNDS = 1_000;
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
 * Cancels what has not ended of a run that is cancelled. Twice at once is as good as once: who has ended by then stays as
 * he is.
 */
export async function cancelChildren(tools: Tools, flowRunId: string, propose: ProposeFlowRunState): Promise<void> {
  if (!tools.settings.services.cancellation_cleanup.enabled) return;
  await cancelSubflows(tools, flowRunId, propose);
  await moveTaskRuns(tools, flowRunId, { from: UNENDED, proposal: { type: "CANCELLED", message: MESSAGE } });
}

interface Subflow {
  id: string;
  deployment_id: string | null;
  /** The place of the task run that stands for it, in the order of their index. */
  task_key: string;
  dynamic_key: string;
  task_id: string;
}

async function cancelSubflows(tools: Tools, flowRunId: string, propose: ProposeFlowRunState): Promise<void> {
  let last: Subflow | undefined;
  for (let round = 0; round < ROUNDS; round++) {
    const subflows = await tools.db.rows<Subflow>(selectSubflows(tools.workspaceId, flowRunId, last));
    for (const some of chunks(subflows, SUBFLOWS_TOLD_AT_ONCE)) {
      await Promise.all(some.map((subflow) => cancelSubflow(tools, subflow, propose)));
    }
    if (subflows.length < AT_ONCE) return;
    last = subflows.at(-1);
  }
}

/**
 * Subflows that have not ended, from the one on that was last: each is gone through once, also if it cannot be cancelled.
 * One with a deployment has a process of its own, which is told once, by Cancelling.
 */
export function selectSubflows(workspaceId: string, flowRunId: string, last?: Subflow) {
  const rest = last
    ? sql`and (t.task_key, t.dynamic_key, t.id) > (${last.task_key}, ${last.dynamic_key}, ${last.task_id})`
    : sql``;
  return sql`select r.id, r.deployment_id, t.task_key, t.dynamic_key, t.id as task_id
    from ${task_run} t indexed by task_run_flow_run
    cross join ${flow_run} r indexed by flow_run_parent on r.workspace_id = t.workspace_id and r.parent_task_run_id = t.id
    where t.workspace_id = ${workspaceId} and t.flow_run_id = ${flowRunId} and t.flow_run_id is not null ${rest}
      and r.parent_task_run_id is not null
      and r.state_type in ${UNENDED} and (r.deployment_id is null or r.state_type <> 'CANCELLING')
    order by t.task_key, t.dynamic_key, t.id limit ${AT_ONCE}`;
}

async function cancelSubflow(tools: Tools, { id, deployment_id }: Subflow, propose: ProposeFlowRunState) {
  const policy = onlyWhile(({ initial }) => initial !== null && !isTerminal(initial), MinimalFlowPolicy);
  const type = deployment_id === null ? "CANCELLED" : "CANCELLING";
  try {
    await propose(tools, id, { type, message: MESSAGE }, { policy });
  } catch (error) {
    // The others are cancelled all the same, and the sweep comes back to this one.
    log(tools, "error", "a subflow of a cancelled run was not cancelled", { flow_run_id: id, error });
  }
}

/** Proposes a state for a flow run. If the run becomes CANCELLED, its task runs and its subflows are cancelled too. */
import { type SQL, sql } from "drizzle-orm";
import { uuidText } from "#db/short/ids";
import { flow_run } from "#db/tables/flow-run";
import {
  type KeyForm,
  ofFlowRunIn,
  orderIn,
  type Place,
  placeColumns,
  throughIndex,
  walkForms,
} from "#db/task-run-keys";
import { ApiError } from "#lib/api-error";
import { chunks } from "#lib/chunks";
import { log } from "#lib/log";
import { changeFlowRun, type FlowRunChangeOptions } from "#orchestration/change-flow-run";
import { moveTaskRuns } from "#orchestration/move-task-runs";
import { MinimalFlowPolicy, onlyWhile } from "#orchestration/policies";
import type { Orchestrated } from "#orchestration/result";
import type { Tools } from "#tools";
import { isTerminal, type StateProposal } from "#wire/state";

/** How many subflows one select reads, and how many selects there are at most. The sweep finds the rest. */
const AT_ONCE = 100;
const ROUNDS = 1_000;
/** How many subflows are cancelled at the same time. */
const SUBFLOWS_AT_ONCE = 10;
const MESSAGE = "The parent flow run was cancelled.";
/** The types of states that are not terminal, as a list in SQL. */
export const UNENDED = sql.raw("('SCHEDULED', 'PENDING', 'RUNNING', 'PAUSED', 'CANCELLING')");

/** Proposes a state for a flow run. Throws 404 for an unknown run, and 503 if other proposals were always faster. */
export async function setFlowRunState(
  tools: Tools,
  flowRunId: string,
  proposal: StateProposal,
  options: FlowRunChangeOptions = {},
): Promise<Orchestrated> {
  const result = await changeFlowRun(tools, flowRunId, proposal, options);
  if (result.written && result.state?.type === "CANCELLED") tools.background(cancelChildren(tools, flowRunId));
  return result;
}

/** Proposes a state for a flow run that may have been deleted since it was read. For a deleted run nothing happens. */
export async function setStateUnlessDeleted(
  tools: Tools,
  flowRunId: string,
  proposal: StateProposal,
  options: FlowRunChangeOptions,
): Promise<void> {
  try {
    await setFlowRunState(tools, flowRunId, proposal, options);
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) throw error;
  }
}

/** Cancels the children of a cancelled run that have not ended. A child that ends first keeps its state. May be repeated. */
export async function cancelChildren(tools: Tools, flowRunId: string): Promise<void> {
  if (!tools.settings.services.cancellation_cleanup.enabled) return;
  await cancelSubflows(tools, flowRunId);
  await moveTaskRuns(tools, flowRunId, { from: UNENDED, proposal: { type: "CANCELLED", message: MESSAGE } });
}

/** A subflow that has not ended, and the place of its parent's task run. */
interface Subflow extends Place {
  subflow_id: string;
  deployment_id: string | null;
}

async function cancelSubflows(tools: Tools, flowRunId: string): Promise<void> {
  const select = (form: KeyForm, last?: Place) => selectSubflows(tools.workspaceId, flowRunId, form, last);
  for await (const subflows of walkForms<Subflow>(tools.db, { select, most: AT_ONCE, rounds: ROUNDS })) {
    for (const some of chunks(subflows, SUBFLOWS_AT_ONCE)) {
      await Promise.all(some.map((subflow) => cancelSubflow(tools, subflow)));
    }
  }
}

/**
 * Selects subflows that have not ended, after `last`. Each subflow is read once, even if it cannot be cancelled. A
 * subflow with a deployment has its own process, for which one CANCELLING is enough.
 */
export function selectSubflows(workspaceId: string, flowRunId: string, form: KeyForm, last?: Place): SQL {
  const { order, rest } = orderIn(form, last, "t");
  return sql`select r.id as subflow_id, r.deployment_id, ${placeColumns("t")}
    from ${throughIndex(form, "t")}
    cross join ${flow_run} r indexed by flow_run_parent
      on r.workspace_id = ${workspaceId} and r.parent_task_run_id = ${sql.raw(uuidText("t.id"))}
    where ${ofFlowRunIn(form, workspaceId, flowRunId, "t")} and ${rest}
      and r.parent_task_run_id is not null
      and r.state_type in ${UNENDED} and (r.deployment_id is null or r.state_type <> 'CANCELLING')
    order by ${order} limit ${AT_ONCE}`;
}

async function cancelSubflow(tools: Tools, { subflow_id: id, deployment_id }: Subflow): Promise<void> {
  const policy = onlyWhile(({ initial }) => initial !== null && !isTerminal(initial), MinimalFlowPolicy);
  const type = deployment_id === null ? "CANCELLED" : "CANCELLING";
  try {
    await setFlowRunState(tools, id, { type, message: MESSAGE }, { policy });
  } catch (error) {
    // The other subflows are still cancelled, and the sweep finds this subflow.
    log(tools, "error", "a subflow of a cancelled run was not cancelled", { flow_run_id: id, error });
  }
}

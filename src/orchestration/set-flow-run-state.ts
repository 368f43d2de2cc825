/** A state is proposed for a flow run. If the run is CANCELLED by it, its children are cancelled too. */
import { ApiError } from "#lib/api-error";
import { cancelChildrenAfter } from "#orchestration/cancel-children";
import { changeFlowRun, type FlowRunChangeOptions } from "#orchestration/change-flow-run";
import type { Orchestrated } from "#orchestration/result";
import type { Tools } from "#tools";
import type { StateProposal } from "#wire/state";

/** Proposes a state for a flow run. Throws 404 for an unknown run, and 503 if other proposals were always faster. */
export async function setFlowRunState(
  tools: Tools,
  flowRunId: string,
  proposal: StateProposal,
  options: FlowRunChangeOptions = {},
): Promise<Orchestrated> {
  const result = await changeFlowRun(tools, flowRunId, proposal, options);
  cancelChildrenAfter(tools, flowRunId, result);
  return result;
}

/** Proposes a state for a flow run that may have been deleted since it was read; then nothing happens. */
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

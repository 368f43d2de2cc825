/** A COMPLETED run with a stored result does not become COMPLETED without one, even by force. */
import { hasPersistedResult, isCompletedWithResult } from "#orchestration/predicates";
import { type FlowRunContext, reject, type Rule, TERMINAL_STATES } from "#orchestration/transition";

export const preventResultDataLoss: Rule<FlowRunContext> = {
  name: "PreventResultDataLoss",
  from: TERMINAL_STATES,
  to: TERMINAL_STATES,
  decide({ initial }, proposed) {
    if (!initial || proposed.type !== "COMPLETED") return undefined;
    if (!isCompletedWithResult(initial) || hasPersistedResult(proposed)) return undefined;
    return reject("Cannot overwrite a COMPLETED state that carries persisted result data with one that does not.");
  },
};

/**
 * A flow run leaves a terminal state only to run again, and only if no stored result is lost. Its pauses are then
 * forgotten.
 */
import { isCompletedWithResult, knowsPauses } from "#orchestration/predicates";
import {
  ANY_STATE,
  NEVER_AFTER_TERMINAL,
  TERMINAL_STATES,
  type FlowRunContext,
  type FlowRunPolicy,
  type Rule,
} from "#orchestration/transition";
import { preventResultDataLoss } from "#orchestration/rules/prevent-result-data-loss";
import { isTerminal } from "#wire/state";

export const handleFlowTerminalStateTransitions: Rule<FlowRunContext> = {
  name: "HandleFlowTerminalStateTransitions",
  from: TERMINAL_STATES,
  to: ANY_STATE,
  decide(context, proposed) {
    const { initial, run } = context;
    if (!initial) return undefined;
    if (NEVER_AFTER_TERMINAL.has(proposed.type)) {
      return { kind: "abort", reason: `Run is already in terminal state ${initial.type}.` };
    }
    if (isCompletedWithResult(initial) && !isTerminal(proposed)) {
      return { kind: "reject", state: null, reason: "Run is already COMPLETED." };
    }
    const loss = preventResultDataLoss.decide?.(context, proposed);
    if (loss) return loss;
    if (proposed.type === "SCHEDULED" && !run.deployment_id) {
      return { kind: "abort", reason: "Cannot reschedule a run without an associated deployment." };
    }
    if (isTerminal(proposed) || !knowsPauses(context)) return undefined;
    const retryType = proposed.type === "SCHEDULED" ? "reschedule" : null;
    const policy: FlowRunPolicy = { ...run.empirical_policy, resuming: false, pause_keys: [], retry_type: retryType };
    return { kind: "adjust", changes: { empirical_policy: policy } };
  },
};

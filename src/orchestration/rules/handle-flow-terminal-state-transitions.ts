/**
 * A flow run leaves a terminal state only to run again, and only if no stored result is lost. Its pauses are then
 * forgotten.
 */
import { isCompletedWithResult, knowsPauses, withoutPauses } from "#orchestration/predicates";
import {
  abort,
  ANY_STATE,
  type FlowRunContext,
  NEVER_AFTER_TERMINAL,
  reject,
  type Rule,
  TERMINAL_STATES,
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
      return abort(`Run is already in terminal state ${initial.type}.`);
    }
    if (isCompletedWithResult(initial) && !isTerminal(proposed)) {
      return reject("Run is already COMPLETED.");
    }
    const loss = preventResultDataLoss.decide?.(context, proposed);
    if (loss) return loss;
    if (proposed.type === "SCHEDULED" && !run.deployment_id) {
      return abort("Cannot reschedule a run without an associated deployment.");
    }
    if (isTerminal(proposed) || !knowsPauses(context)) return undefined;
    const retryType = proposed.type === "SCHEDULED" ? "reschedule" : null;
    return { kind: "adjust", changes: { empirical_policy: withoutPauses(run.empirical_policy, retryType) } };
  },
};

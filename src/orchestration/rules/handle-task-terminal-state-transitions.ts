/** A task run leaves its end only to be run again, and not where its result is stored; its retries then count from the start. */
import { isCompletedWithResult } from "#orchestration/predicates";
import { ANY_STATE, TERMINAL_STATES, statesOf, type Rule, type TaskRunContext } from "#orchestration/transition";
import { isTerminal } from "#wire/state";

/** What a run at its end cannot become: it neither stops again nor breaks after the fact. */
const NEVER_AFTER_THE_END = statesOf("CANCELLING", "PAUSED", "CRASHED");

export const handleTaskTerminalStateTransitions: Rule<TaskRunContext> = {
  name: "HandleTaskTerminalStateTransitions",
  from: TERMINAL_STATES,
  to: ANY_STATE,
  decide({ initial, run, flowRun }, proposed) {
    if (!initial) return undefined;
    if (NEVER_AFTER_THE_END.has(proposed.type)) return { kind: "abort", reason: `Run is already ${initial.type}.` };
    if (isCompletedWithResult(initial))
      return { kind: "reject", state: null, reason: "This run is already completed." };
    if (isTerminal(proposed)) return undefined;
    const isFlowRetrying =
      proposed.type === "RUNNING" && flowRun !== null && run.flow_run_run_count < flowRun.run_count;
    return { kind: "adjust", name: isFlowRetrying ? "Retrying" : undefined, changes: { run_count: 0 } };
  },
};

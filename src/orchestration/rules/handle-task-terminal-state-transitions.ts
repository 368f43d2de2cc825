/**
 * A task run leaves a terminal state only to run again, and only if it has no stored result. Its run count then starts
 * at 0.
 */
import { isCompletedWithResult } from "#orchestration/predicates";
import {
  abort,
  ANY_STATE,
  NEVER_AFTER_TERMINAL,
  reject,
  type Rule,
  type TaskRunContext,
  TERMINAL_STATES,
} from "#orchestration/transition";
import { isTerminal } from "#wire/state";

export const handleTaskTerminalStateTransitions: Rule<TaskRunContext> = {
  name: "HandleTaskTerminalStateTransitions",
  from: TERMINAL_STATES,
  to: ANY_STATE,
  decide({ initial, run, flowRun }, proposed) {
    if (!initial) return undefined;
    if (NEVER_AFTER_TERMINAL.has(proposed.type)) return abort(`Run is already ${initial.type}.`);
    if (isCompletedWithResult(initial)) return reject("This run is already completed.");
    if (isTerminal(proposed)) return undefined;
    const isFlowRetrying =
      proposed.type === "RUNNING" && flowRun !== null && run.flow_run_run_count < flowRun.run_count;
    return { kind: "adjust", name: isFlowRetrying ? "Retrying" : undefined, changes: { run_count: 0 } };
  },
};

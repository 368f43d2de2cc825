/** Rules about flow runs that are being cancelled, and about runs that leave a terminal state. */
import { hasPersistedResult, isCompletedWithResult, knowsPauses, withoutPauses } from "#orchestration/predicates";
import {
  abort,
  type FlowRunContext,
  reject,
  type Rule,
  statesOf,
  type TaskRunContext,
  TERMINAL_STATES,
  anyStateBut,
  type RunContext,
} from "#orchestration/transition";
import { isTerminal } from "#wire/state";

/** The types that a run cannot take after a terminal state: a run that has ended can neither stop nor crash. */
const NEVER_AFTER_TERMINAL = statesOf("CANCELLING", "PAUSED", "CRASHED");

/** A COMPLETED flow run with a stored result does not become COMPLETED without one, even by force. */
export const preventResultDataLoss: Rule<FlowRunContext> = {
  from: TERMINAL_STATES,
  to: TERMINAL_STATES,
  decide({ initial }, proposed) {
    if (!initial || proposed.type !== "COMPLETED") return undefined;
    if (!isCompletedWithResult(initial) || hasPersistedResult(proposed)) return undefined;
    return reject("Cannot overwrite a COMPLETED state that carries persisted result data with one that does not.");
  },
};

/** A flow run leaves a terminal state only to run again, and only if no stored result is lost. Its pauses are then forgotten. */
export const handleFlowTerminalStateTransitions: Rule<FlowRunContext> = {
  from: TERMINAL_STATES,
  decide(context, proposed) {
    const { initial, run } = context;
    if (!initial) return undefined;
    if (NEVER_AFTER_TERMINAL.has(proposed.type)) return abort(`Run is already in terminal state ${initial.type}.`);
    if (isCompletedWithResult(initial) && !isTerminal(proposed)) return reject("Run is already COMPLETED.");
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

/** A task run leaves a terminal state only to run again, and only if it has no stored result. Its run count then starts at 0. */
export const handleTaskTerminalStateTransitions: Rule<TaskRunContext> = {
  from: TERMINAL_STATES,
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

/** A flow run without infrastructure becomes CANCELLED instead of CANCELLING: no process has to be stopped. */
export const bypassCancellingFlowRunsWithNoInfra: Rule<FlowRunContext> = {
  from: statesOf("SCHEDULED", "PAUSED"),
  to: statesOf("CANCELLING"),
  decide({ initial, run }) {
    if (!initial) return undefined;
    const cancelled = (what: string) =>
      reject(`${what} flow run has no infrastructure to terminate.`, { type: "CANCELLED" });
    const isUnstarted = initial.type === "SCHEDULED" && !run.infrastructure_pid;
    if (isUnstarted || initial.name === "Resuming") return cancelled("Scheduled");
    const isSuspended = initial.type === "PAUSED" && initial.state_details.pause_reschedule;
    return isSuspended ? cancelled("Suspended") : undefined;
  },
};

/** A CANCELLING run can only become CANCELLED. */
export const enforceCancellingToCancelledTransition: Rule<RunContext> = {
  from: statesOf("CANCELLING"),
  to: anyStateBut("CANCELLED"),
  decide: () => reject("Cannot transition flows that are cancelling to a state other than Cancelled."),
};

/** The policies: lists of rules in the order in which they are asked. The order is the original's. */
import * as retries from "#orchestration/rules/retries";
import * as scheduling from "#orchestration/rules/scheduling";
import * as slots from "#orchestration/rules/slots";
import * as taskRuns from "#orchestration/rules/task-runs";
import * as terminalStates from "#orchestration/rules/terminal-states";
import { abort, type FlowRunContext, type Policy, type TaskRunContext } from "#orchestration/transition";

/** For a flow run's state that a client proposes. */
export const CoreFlowPolicy: Policy<FlowRunContext> = [
  slots.preserveDeploymentConcurrencyLeaseId,
  retries.preventDuplicateTransitions,
  terminalStates.handleFlowTerminalStateTransitions,
  terminalStates.enforceCancellingToCancelledTransition,
  terminalStates.bypassCancellingFlowRunsWithNoInfra,
  retries.preventPendingTransitions,
  retries.refuseSecondRunning,
  slots.validateDeploymentConcurrencyAtRunning,
  slots.secureFlowConcurrencySlots,
  slots.removeDeploymentConcurrencyLeaseForOldClientVersions,
  scheduling.ensureOnlyScheduledFlowsMarkedLate,
  scheduling.handlePausingFlows,
  scheduling.handleResumingPausedFlows,
  scheduling.copyScheduledTime,
  scheduling.waitForScheduledTime,
  retries.retryFailedFlows,
];

/** For a flow run's state that is forced. */
export const MinimalFlowPolicy: Policy<FlowRunContext> = [
  terminalStates.preventResultDataLoss,
  terminalStates.bypassCancellingFlowRunsWithNoInfra,
];

/** For a scheduled flow run that is late. */
export const MarkLateRunsPolicy: Policy<FlowRunContext> = [
  scheduling.ensureOnlyScheduledFlowsMarkedLate,
  slots.enforceDeploymentConcurrencyOnLate,
];

/** For a task run's state that a client proposes. */
export const CoreTaskPolicy: Policy<TaskRunContext> = [
  taskRuns.cacheRetrieval,
  terminalStates.handleTaskTerminalStateTransitions,
  taskRuns.preventRunningTasksFromStoppedFlows,
  slots.secureTaskConcurrencySlots,
  scheduling.copyScheduledTime,
  scheduling.waitForScheduledTime,
  retries.retryFailedTasks,
  retries.renameReruns,
  taskRuns.updateFlowRunTrackerOnTasks,
  taskRuns.cacheInsertion,
];

/** For the state of a background task, which runs outside of any flow run. */
export const BackgroundTaskPolicy: Policy<TaskRunContext> = [
  retries.preventPendingTransitions,
  taskRuns.cacheRetrieval,
  terminalStates.handleTaskTerminalStateTransitions,
  scheduling.copyScheduledTime,
  taskRuns.copyTaskParametersId,
  scheduling.waitForScheduledTime,
  retries.retryFailedTasks,
  retries.renameReruns,
  taskRuns.updateFlowRunTrackerOnTasks,
  taskRuns.cacheInsertion,
  taskRuns.enqueueScheduledTasks,
];

/** For a task run's state that is forced. */
export const MinimalTaskPolicy: Policy<TaskRunContext> = [];

/** The policy of a sweep. If `holds` is no longer true for the run, nothing is written. Otherwise the rules of `policy` are asked. */
export function onlyWhile(
  holds: (context: FlowRunContext) => boolean,
  policy: Policy<FlowRunContext>,
): Policy<FlowRunContext> {
  const condition: Policy<FlowRunContext>[number] = {
    decide: (context) => (holds(context) ? undefined : abort("The run has gone on in the meantime.")),
  };
  return [condition, ...policy];
}

/** The policies: lists of rules in the order in which they are asked, which is the original's. */
import { bypassCancellingFlowRunsWithNoInfra } from "#orchestration/rules/bypass-cancelling-flow-runs-with-no-infra";
import { cacheInsertion } from "#orchestration/rules/cache-insertion";
import { cacheRetrieval } from "#orchestration/rules/cache-retrieval";
import { copyScheduledTime } from "#orchestration/rules/copy-scheduled-time";
import { copyTaskParametersId } from "#orchestration/rules/copy-task-parameters-id";
import { enforceCancellingToCancelledTransition } from "#orchestration/rules/enforce-cancelling-to-cancelled-transition";
import { enforceDeploymentConcurrencyOnLate } from "#orchestration/rules/enforce-deployment-concurrency-on-late";
import { enqueueScheduledTasks } from "#orchestration/rules/enqueue-scheduled-tasks";
import { ensureOnlyScheduledFlowsMarkedLate } from "#orchestration/rules/ensure-only-scheduled-flows-marked-late";
import { handleFlowTerminalStateTransitions } from "#orchestration/rules/handle-flow-terminal-state-transitions";
import { handlePausingFlows } from "#orchestration/rules/handle-pausing-flows";
import { handleResumingPausedFlows } from "#orchestration/rules/handle-resuming-paused-flows";
import { handleTaskTerminalStateTransitions } from "#orchestration/rules/handle-task-terminal-state-transitions";
import { preserveDeploymentConcurrencyLeaseId } from "#orchestration/rules/preserve-deployment-concurrency-lease-id";
import { preventDuplicateTransitions } from "#orchestration/rules/prevent-duplicate-transitions";
import { preventPendingTransitions } from "#orchestration/rules/prevent-pending-transitions";
import { preventResultDataLoss } from "#orchestration/rules/prevent-result-data-loss";
import { preventRunningTasksFromStoppedFlows } from "#orchestration/rules/prevent-running-tasks-from-stopped-flows";
import { refuseSecondRunning } from "#orchestration/rules/refuse-second-running";
import { removeDeploymentConcurrencyLeaseForOldClientVersions } from "#orchestration/rules/remove-deployment-concurrency-lease-for-old-client-versions";
import { renameReruns } from "#orchestration/rules/rename-reruns";
import { retryFailedFlows } from "#orchestration/rules/retry-failed-flows";
import { retryFailedTasks } from "#orchestration/rules/retry-failed-tasks";
import { secureFlowConcurrencySlots } from "#orchestration/rules/secure-flow-concurrency-slots";
import { secureTaskConcurrencySlots } from "#orchestration/rules/secure-task-concurrency-slots";
import { updateFlowRunTrackerOnTasks } from "#orchestration/rules/update-flow-run-tracker-on-tasks";
import { validateDeploymentConcurrencyAtRunning } from "#orchestration/rules/validate-deployment-concurrency-at-running";
import { waitForScheduledTime } from "#orchestration/rules/wait-for-scheduled-time";
import type { FlowRunContext, Policy, TaskRunContext } from "#orchestration/transition";

/** For a flow run's state that a client proposes. */
export const CoreFlowPolicy: Policy<FlowRunContext> = {
  name: "CoreFlowPolicy",
  rules: [
    preserveDeploymentConcurrencyLeaseId,
    preventDuplicateTransitions,
    handleFlowTerminalStateTransitions,
    enforceCancellingToCancelledTransition,
    bypassCancellingFlowRunsWithNoInfra,
    preventPendingTransitions,
    refuseSecondRunning,
    validateDeploymentConcurrencyAtRunning,
    secureFlowConcurrencySlots,
    removeDeploymentConcurrencyLeaseForOldClientVersions,
    ensureOnlyScheduledFlowsMarkedLate,
    handlePausingFlows,
    handleResumingPausedFlows,
    copyScheduledTime,
    waitForScheduledTime,
    retryFailedFlows,
  ],
};

/** For a flow run's state that is forced. */
export const MinimalFlowPolicy: Policy<FlowRunContext> = {
  name: "MinimalFlowPolicy",
  rules: [preventResultDataLoss, bypassCancellingFlowRunsWithNoInfra],
};

/** For a scheduled flow run that is late. */
export const MarkLateRunsPolicy: Policy<FlowRunContext> = {
  name: "MarkLateRunsPolicy",
  rules: [ensureOnlyScheduledFlowsMarkedLate, enforceDeploymentConcurrencyOnLate],
};

/** For a task run's state that a client proposes. */
export const CoreTaskPolicy: Policy<TaskRunContext> = {
  name: "CoreTaskPolicy",
  rules: [
    cacheRetrieval,
    handleTaskTerminalStateTransitions,
    preventRunningTasksFromStoppedFlows,
    secureTaskConcurrencySlots,
    copyScheduledTime,
    waitForScheduledTime,
    retryFailedTasks,
    renameReruns,
    updateFlowRunTrackerOnTasks,
    cacheInsertion,
  ],
};

/** For a task run's state that a client has decided and reports. It takes no slots: the client does that. */
export const ClientSideTaskOrchestrationPolicy: Policy<TaskRunContext> = {
  name: "ClientSideTaskOrchestrationPolicy",
  rules: CoreTaskPolicy.rules.filter((rule) => rule !== secureTaskConcurrencySlots),
};

/** For the state of a background task, which runs outside of any flow run. */
export const BackgroundTaskPolicy: Policy<TaskRunContext> = {
  name: "BackgroundTaskPolicy",
  rules: [
    preventPendingTransitions,
    cacheRetrieval,
    handleTaskTerminalStateTransitions,
    copyScheduledTime,
    copyTaskParametersId,
    waitForScheduledTime,
    retryFailedTasks,
    renameReruns,
    updateFlowRunTrackerOnTasks,
    cacheInsertion,
    enqueueScheduledTasks,
  ],
};

/** For a task run's state that is forced. */
export const MinimalTaskPolicy: Policy<TaskRunContext> = {
  name: "MinimalTaskPolicy",
  rules: [],
};

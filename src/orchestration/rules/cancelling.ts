/** Rules about flow runs that are being cancelled. */
import {
  anyStateBut,
  type FlowRunContext,
  reject,
  type Rule,
  type RunContext,
  statesOf,
} from "#orchestration/transition";

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

/** A run without infrastructure becomes CANCELLED instead of CANCELLING: there is nothing to stop. */
import { type FlowRunContext, reject, type Rule, type Ruling, statesOf } from "#orchestration/transition";

export const bypassCancellingFlowRunsWithNoInfra: Rule<FlowRunContext> = {
  name: "BypassCancellingFlowRunsWithNoInfra",
  from: statesOf("SCHEDULED", "PAUSED"),
  to: statesOf("CANCELLING"),
  decide({ initial, run }) {
    if (!initial) return undefined;
    const isUnstarted = initial.type === "SCHEDULED" && !run.infrastructure_pid;
    if (isUnstarted || initial.name === "Resuming") return cancelled("Scheduled");
    const isSuspended = initial.type === "PAUSED" && initial.state_details.pause_reschedule;
    return isSuspended ? cancelled("Suspended") : undefined;
  },
};

function cancelled(what: string): Ruling<FlowRunContext> {
  return reject(`${what} flow run has no infrastructure to terminate.`, { type: "CANCELLED" });
}

/**
 * A PAUSED run can go on or end. After the timeout of its pause it becomes FAILED. A suspended run needs a deployment
 * to go on.
 */
import { ANY_STATE, type FlowRunContext, reject, type Rule, statesOf } from "#orchestration/transition";

export const handleResumingPausedFlows: Rule<FlowRunContext> = {
  name: "HandleResumingPausedFlows",
  from: statesOf("PAUSED"),
  to: ANY_STATE,
  decide({ initial, run, now }, proposed) {
    if (!initial) return undefined;
    if (proposed.type === "PENDING" || proposed.type === "PAUSED") {
      return {
        kind: "reject",
        state: null,
        // Prefect: `HandleResumingPausedFlows` prints the names of enum members.
        reason: `This run cannot transition to the StateType.${proposed.type} state from the StateType.${initial.type} state.`,
      };
    }
    const name = proposed.name.toLowerCase();
    const { pause_reschedule: isSuspended, pause_timeout: timeout } = initial.state_details;
    if (isSuspended && !run.deployment_id) {
      return reject(`Cannot reschedule a ${name} flow run without a deployment.`);
    }
    // The process of a blocking pause still runs, and must see the cancellation even after the timeout.
    if (proposed.type === "CANCELLING" || !timeout || timeout >= now) return undefined;
    const verb = proposed.name === "Suspended" ? "suspend" : "pause";
    return reject(`The flow run ${verb} has timed out and can no longer resume.`, {
      type: "FAILED",
      message: `The flow was ${name} and never resumed.`,
    });
  },
  after({ run }) {
    return { changes: { empirical_policy: { ...run.empirical_policy, resuming: true } } };
  },
};

/** Rules about when a run may continue: its scheduled time, and pauses. */
import { SECOND } from "#lib/clock";
import { type FlowRunContext, reject, type Rule, type RunContext, statesOf, abort } from "#orchestration/transition";

/** The PENDING state of a scheduled run keeps the scheduled time. */
export const copyScheduledTime: Rule<RunContext> = {
  from: statesOf("SCHEDULED"),
  to: statesOf("PENDING"),
  decide({ initial }, proposed) {
    if (!initial || proposed.state_details.scheduled_time) return undefined;
    return { kind: "adjust", details: { scheduled_time: initial.state_details.scheduled_time } };
  },
};

/** A run does not start before its scheduled time. */
export const waitForScheduledTime: Rule<RunContext> = {
  from: statesOf("SCHEDULED", "PENDING"),
  to: statesOf("RUNNING"),
  decide({ initial, now }) {
    const scheduledTime = initial?.state_details.scheduled_time;
    if (!scheduledTime) return undefined;
    const delaySeconds = roundHalfDown((scheduledTime - now) / SECOND);
    if (delaySeconds <= 0) return undefined;
    return { kind: "wait", delaySeconds, reason: "Scheduled time is in the future" };
  },
};

/** Prefect: `WaitForScheduledTime` rounds only the microseconds, so that half a second becomes 0. */
function roundHalfDown(seconds: number): number {
  return Math.ceil(seconds - 0.5);
}

/** Only a SCHEDULED flow run that is not yet Late becomes Late. */
export const ensureOnlyScheduledFlowsMarkedLate: Rule<FlowRunContext> = {
  to: statesOf("SCHEDULED"),
  decide({ initial }, proposed) {
    if (!initial || proposed.name !== "Late") return undefined;
    if (initial.type !== "SCHEDULED") return reject("Only scheduled flows can be marked late.");
    return initial.name === "Late" ? reject("This flow run is already marked late.") : undefined;
  },
};

/** Only a RUNNING flow run becomes PAUSED, once for each pause key. A suspension also needs a deployment, which starts the run again. */
export const handlePausingFlows: Rule<FlowRunContext> = {
  to: statesOf("PAUSED"),
  decide({ initial, run }, proposed) {
    const verb = proposed.name === "Suspended" ? "suspend" : "pause";
    if (!initial) return abort(`Cannot ${verb} flows with no state.`);
    if (initial.type !== "RUNNING") return reject(`Cannot ${verb} flows that are not currently running.`);
    const { pause_key: key, pause_reschedule: isSuspension } = proposed.state_details;
    if (key && run.empirical_policy.pause_keys?.includes(key)) return reject(`This ${verb} has already fired.`);
    if (!isSuspension) return undefined;
    if (run.parent_task_run_id) return abort(`Cannot ${verb} subflows.`);
    return run.deployment_id ? undefined : abort(`Cannot ${verb} flows without a deployment.`);
  },
  after({ run, ids }, written) {
    const key = written.state_details.pause_key ?? ids.random();
    const pause_keys = [...(run.empirical_policy.pause_keys ?? []), key];
    return { changes: { empirical_policy: { ...run.empirical_policy, pause_keys } } };
  },
};

/** A PAUSED flow run can resume or end. After the timeout of its pause the run becomes FAILED. A suspended run needs a deployment to resume. */
export const handleResumingPausedFlows: Rule<FlowRunContext> = {
  from: statesOf("PAUSED"),
  decide({ initial, run, now }, proposed) {
    if (!initial) return undefined;
    if (proposed.type === "PENDING" || proposed.type === "PAUSED") {
      // Prefect: `HandleResumingPausedFlows` prints the names of enum members.
      const names = `the StateType.${proposed.type} state from the StateType.${initial.type} state`;
      return reject(`This run cannot transition to ${names}.`);
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

/** Rules about the scheduled time of a run, and about scheduled flow runs that are late. */
import { SECOND } from "#lib/clock";
import {
  ANY_STATE,
  type FlowRunContext,
  reject,
  type Rule,
  type RunContext,
  statesOf,
} from "#orchestration/transition";

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
  from: ANY_STATE,
  to: statesOf("SCHEDULED"),
  decide({ initial }, proposed) {
    if (!initial || proposed.name !== "Late") return undefined;
    if (initial.type !== "SCHEDULED") return reject("Only scheduled flows can be marked late.");
    return initial.name === "Late" ? reject("This flow run is already marked late.") : undefined;
  },
};

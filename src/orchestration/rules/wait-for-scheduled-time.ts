/** A run does not start before its scheduled time. */
import { SECOND } from "#lib/clock";
import { statesOf, type Rule, type RunContext } from "#orchestration/transition";

export const waitForScheduledTime: Rule<RunContext> = {
  name: "WaitForScheduledTime",
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

/** Prefect: `WaitForScheduledTime` rounds the microseconds alone, so that half a second becomes 0. */
function roundHalfDown(seconds: number): number {
  return Math.ceil(seconds - 0.5);
}

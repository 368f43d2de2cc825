/** A run is expected to start when its first state says, or when it came to be. */
import type { RunContext, Transform } from "#orchestration/transition";

export const setExpectedStartTime: Transform<RunContext> = {
  name: "SetExpectedStartTime",
  apply({ run }, proposed) {
    if (run.expected_start_time !== null) return undefined;
    const scheduledTime = proposed.type === "SCHEDULED" ? proposed.state_details.scheduled_time : undefined;
    return { changes: { expected_start_time: scheduledTime ?? proposed.timestamp } };
  },
};

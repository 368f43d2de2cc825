/** A run has a next start exactly while it is scheduled. */
import type { RunContext, Transform } from "#orchestration/transition";

export const setNextScheduledStartTime: Transform<RunContext> = {
  name: "SetNextScheduledStartTime",
  apply({ initial }, proposed) {
    if (proposed.type === "SCHEDULED") {
      return { changes: { next_scheduled_start_time: proposed.state_details.scheduled_time ?? proposed.timestamp } };
    }
    return initial?.type === "SCHEDULED" ? { changes: { next_scheduled_start_time: null } } : undefined;
  },
};

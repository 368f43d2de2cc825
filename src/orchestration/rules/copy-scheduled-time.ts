/** The PENDING state of a scheduled run keeps the scheduled time. */
import { statesOf, type Rule, type RunContext } from "#orchestration/transition";

export const copyScheduledTime: Rule<RunContext> = {
  name: "CopyScheduledTime",
  from: statesOf("SCHEDULED"),
  to: statesOf("PENDING"),
  decide({ initial }, proposed) {
    if (!initial || proposed.state_details.scheduled_time) return undefined;
    return { kind: "adjust", details: { scheduled_time: initial.state_details.scheduled_time } };
  },
};

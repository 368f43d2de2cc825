/** No two states of a flow run share a timestamp: the later one moves on to the next free microsecond. */
import type { FlowRunContext, Transform } from "#orchestration/transition";

export const ensureFlowRunStateTimestampIsUnique: Transform<FlowRunContext> = {
  name: "EnsureFlowRunStateTimestampIsUnique",
  apply({ takenTimestamps }, proposed) {
    let timestamp = proposed.timestamp;
    while (takenTimestamps.includes(timestamp)) timestamp += 1;
    return { timestamp };
  },
};

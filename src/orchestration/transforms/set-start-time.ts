/** A run started when it first became running. */
import type { RunContext, Transform } from "#orchestration/transition";

export const setStartTime: Transform<RunContext> = {
  name: "SetStartTime",
  apply({ run }, proposed) {
    if (proposed.type !== "RUNNING" || run.start_time !== null) return undefined;
    return { changes: { start_time: proposed.timestamp } };
  },
};

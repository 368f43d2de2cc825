/** A task run counts its starts. */
import type { RunContext, Transform } from "#orchestration/transition";

export const incrementTaskRunCount: Transform<RunContext> = {
  name: "IncrementTaskRunCount",
  apply({ run }, proposed) {
    return proposed.type === "RUNNING" ? { changes: { run_count: run.run_count + 1 } } : undefined;
  },
};

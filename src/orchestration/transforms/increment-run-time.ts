/** The time a run spends running adds up. */
import type { RunContext, Transform } from "#orchestration/transition";

export const incrementRunTime: Transform<RunContext> = {
  name: "IncrementRunTime",
  apply({ initial, run }, proposed) {
    if (initial?.type !== "RUNNING") return undefined;
    // Two machines' clocks may differ; a step back must not take time away.
    const ranFor = Math.max(0, proposed.timestamp - initial.timestamp);
    return { changes: { total_run_time: run.total_run_time + ranFor } };
  },
};

/** A flow run counts its starts; to resume is not to start. */
import { knowsPauses } from "#orchestration/predicates";
import type { FlowRunContext, Transform } from "#orchestration/transition";

export const incrementFlowRunCount: Transform<FlowRunContext> = {
  name: "IncrementFlowRunCount",
  apply(context, proposed) {
    const { run } = context;
    const isResuming = knowsPauses(context) && run.empirical_policy.resuming;
    if (proposed.type !== "RUNNING" || isResuming) return undefined;
    return { changes: { run_count: run.run_count + 1 } };
  },
};

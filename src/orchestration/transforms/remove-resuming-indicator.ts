/** A flow run that runs again, or ends, is no longer resuming. */
import { knowsPauses } from "#orchestration/predicates";
import type { FlowRunContext, Transform } from "#orchestration/transition";
import { isTerminal } from "#wire/state";

export const removeResumingIndicator: Transform<FlowRunContext> = {
  name: "RemoveResumingIndicator",
  apply(context, proposed) {
    const { empirical_policy } = context.run;
    if (!knowsPauses(context) || !empirical_policy.resuming) return undefined;
    if (proposed.type !== "RUNNING" && !isTerminal(proposed)) return undefined;
    return { changes: { empirical_policy: { ...empirical_policy, resuming: false } } };
  },
};

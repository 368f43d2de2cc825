/** Only a SCHEDULED run that is not yet Late becomes Late. */
import { ANY_STATE, statesOf, type FlowRunContext, type Rule } from "#orchestration/transition";

export const ensureOnlyScheduledFlowsMarkedLate: Rule<FlowRunContext> = {
  name: "EnsureOnlyScheduledFlowsMarkedLate",
  from: ANY_STATE,
  to: statesOf("SCHEDULED"),
  decide({ initial }, proposed) {
    if (!initial || proposed.name !== "Late") return undefined;
    if (initial.type !== "SCHEDULED") {
      return { kind: "reject", state: null, reason: "Only scheduled flows can be marked late." };
    }
    if (initial.name !== "Late") return undefined;
    return { kind: "reject", state: null, reason: "This flow run is already marked late." };
  },
};

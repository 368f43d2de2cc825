/** Only a SCHEDULED run that is not yet Late becomes Late. */
import { ANY_STATE, type FlowRunContext, reject, type Rule, statesOf } from "#orchestration/transition";

export const ensureOnlyScheduledFlowsMarkedLate: Rule<FlowRunContext> = {
  name: "EnsureOnlyScheduledFlowsMarkedLate",
  from: ANY_STATE,
  to: statesOf("SCHEDULED"),
  decide({ initial }, proposed) {
    if (!initial || proposed.name !== "Late") return undefined;
    if (initial.type !== "SCHEDULED") {
      return reject("Only scheduled flows can be marked late.");
    }
    if (initial.name !== "Late") return undefined;
    return reject("This flow run is already marked late.");
  },
};

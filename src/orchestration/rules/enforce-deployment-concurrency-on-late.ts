/** A late run of a deployment that cancels what finds no slot is cancelled as long as none is free, for it may never be proposed. */
import { statesOf, type FlowRunContext, type Rule } from "#orchestration/transition";

export const enforceDeploymentConcurrencyOnLate: Rule<FlowRunContext> = {
  name: "EnforceDeploymentConcurrencyOnLate",
  from: statesOf("SCHEDULED"),
  to: statesOf("SCHEDULED"),
  decide({ deployment, slot }, proposed) {
    const limit = deployment?.limit;
    if (proposed.name !== "Late" || !limit || deployment.collision_strategy !== "CANCEL_NEW") return undefined;
    if (slot === "full") {
      return {
        kind: "reject",
        state: { type: "CANCELLED", message: "Deployment concurrency limit reached." },
        reason: "Deployment concurrency limit is full and uses the CANCEL_NEW strategy.",
      };
    }
    return { kind: "adjust", effects: [{ kind: "see-slots", limit_id: limit.id, slots: limit.slots }] };
  },
};

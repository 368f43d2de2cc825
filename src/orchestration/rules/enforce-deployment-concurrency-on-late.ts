/**
 * A late run becomes CANCELLED if its deployment has no free slot and the collision strategy CANCEL_NEW: it may never
 * be proposed as PENDING.
 */
import { type FlowRunContext, reject, type Rule, statesOf } from "#orchestration/transition";

export const enforceDeploymentConcurrencyOnLate: Rule<FlowRunContext> = {
  name: "EnforceDeploymentConcurrencyOnLate",
  from: statesOf("SCHEDULED"),
  to: statesOf("SCHEDULED"),
  decide({ deployment, slot }, proposed) {
    const limit = deployment?.limit;
    if (proposed.name !== "Late" || !limit || deployment.collision_strategy !== "CANCEL_NEW") return undefined;
    if (slot === "full") {
      return reject("Deployment concurrency limit is full and uses the CANCEL_NEW strategy.", {
        type: "CANCELLED",
        message: "Deployment concurrency limit reached.",
      });
    }
    return { kind: "adjust", effects: [{ kind: "see-slots", limit_id: limit.id, slots: limit.slots }] };
  },
};

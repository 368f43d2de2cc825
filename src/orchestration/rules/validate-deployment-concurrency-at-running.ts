/**
 * A run whose lease expired while its infrastructure was created takes a slot again before it is RUNNING. If no slot is free,
 * it becomes CANCELLED: it cannot be scheduled again, because its infrastructure is there.
 */
import { renewsLeases } from "#orchestration/predicates";
import { type FlowRunContext, reject, type Rule, statesOf } from "#orchestration/transition";

export const validateDeploymentConcurrencyAtRunning: Rule<FlowRunContext> = {
  name: "ValidateDeploymentConcurrencyAtRunning",
  from: statesOf("PENDING"),
  to: statesOf("RUNNING"),
  decide(context) {
    const { initial, deployment, slot } = context;
    const leaseId = initial?.state_details.deployment_concurrency_lease_id;
    const details = { deployment_concurrency_lease_id: leaseId };
    if (!leaseId || !deployment?.limit || !renewsLeases(context)) return { kind: "adjust", details };
    if (slot === "full") {
      return reject("Deployment concurrency limit reached after lease expiry.", {
        type: "CANCELLED",
        message: "Deployment concurrency slot lost during provisioning - no slots available to continue execution",
      });
    }
    const seconds = deployment.grace_period_seconds;
    const limit_id = deployment.limit.id;
    return { kind: "adjust", details, effects: [{ kind: "keep-slot", limit_id, lease_id: leaseId, seconds }] };
  },
};

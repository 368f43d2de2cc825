/** The next state of a run keeps the concurrency lease if the client leaves it out, as workers do. */
import { ANY_STATE, type FlowRunContext, type Rule } from "#orchestration/transition";

export const preserveDeploymentConcurrencyLeaseId: Rule<FlowRunContext> = {
  name: "PreserveDeploymentConcurrencyLeaseId",
  from: ANY_STATE,
  to: ANY_STATE,
  decide({ initial }, proposed) {
    const leaseId = initial?.state_details.deployment_concurrency_lease_id;
    if (!leaseId || proposed.state_details.deployment_concurrency_lease_id) return undefined;
    return { kind: "adjust", details: { deployment_concurrency_lease_id: leaseId } };
  },
};

/** A run gives back the slot of its deployment's limit when it is on its way no more. */
import { type FlowRunContext, HOLDING_STATES, type Transform } from "#orchestration/transition";

export const releaseFlowConcurrencySlots: Transform<FlowRunContext> = {
  name: "ReleaseFlowConcurrencySlots",
  apply({ initial }, proposed, status) {
    const leaseId = initial?.state_details.deployment_concurrency_lease_id;
    if (!leaseId || !HOLDING_STATES.has(initial.type) || HOLDING_STATES.has(proposed.type)) return undefined;
    // The process of a run that RetryFailedFlows lets wait goes on renewing its lease.
    if (proposed.type === "SCHEDULED" && proposed.name === "AwaitingRetry" && status === "REJECT") return undefined;
    return { effects: [{ kind: "release-slot", lease_id: leaseId }] };
  },
};

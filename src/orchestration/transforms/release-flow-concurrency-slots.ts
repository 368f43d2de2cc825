/** A run gives back the slot of its deployment's limit when it is on its way no more. */
import { statesOf, type FlowRunContext, type Transform } from "#orchestration/transition";

const HOLDING = statesOf("PENDING", "RUNNING", "CANCELLING");

export const releaseFlowConcurrencySlots: Transform<FlowRunContext> = {
  name: "ReleaseFlowConcurrencySlots",
  apply({ initial }, proposed, status) {
    const leaseId = initial?.state_details.deployment_concurrency_lease_id;
    if (!leaseId || !HOLDING.has(initial.type) || HOLDING.has(proposed.type)) return undefined;
    // The process of a run that RetryFailedFlows lets wait goes on renewing its lease.
    if (proposed.type === "SCHEDULED" && proposed.name === "AwaitingRetry" && status === "REJECT") return undefined;
    return { effects: [{ kind: "release-slot", lease_id: leaseId }] };
  },
};

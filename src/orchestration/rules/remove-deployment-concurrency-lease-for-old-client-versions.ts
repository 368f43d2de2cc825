/** A client that cannot renew its lease keeps its slot until the run has ended. */
import { renewsLeases } from "#orchestration/predicates";
import { statesOf, type FlowRunContext, type Rule } from "#orchestration/transition";

export const removeDeploymentConcurrencyLeaseForOldClientVersions: Rule<FlowRunContext> = {
  name: "RemoveDeploymentConcurrencyLeaseForOldClientVersions",
  from: statesOf("PENDING"),
  to: statesOf("RUNNING", "CANCELLING"),
  after(context) {
    const leaseId = context.initial?.state_details.deployment_concurrency_lease_id;
    if (!leaseId || renewsLeases(context)) return undefined;
    return { effects: [{ kind: "keep-slot-without-end", lease_id: leaseId }] };
  },
};

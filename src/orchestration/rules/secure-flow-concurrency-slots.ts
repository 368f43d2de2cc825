/**
 * A run of a deployment with a concurrency limit takes a slot when it becomes PENDING, before its infrastructure is created.
 * From then on the client renews the lease. If no slot is free, the run waits or becomes CANCELLED, as its deployment says.
 */
import { SECOND } from "#lib/clock";
import { abort, anyStateBut, type FlowRunContext, reject, type Rule, statesOf } from "#orchestration/transition";

/** Prefect: `server.deployments.concurrency_slot_wait_seconds`. */
const SLOT_WAIT_SECONDS = 30;
/** Prefect: WORKER_VERSIONS_THAT_MANAGE_DEPLOYMENT_CONCURRENCY, whose workers take the slots themselves. */
const OWN_SLOTS: ReadonlySet<string> = new Set(["3.0.0rc20", "3.0.0", "3.0.1", "3.0.2", "3.0.3"]);

export const secureFlowConcurrencySlots: Rule<FlowRunContext> = {
  name: "SecureFlowConcurrencySlots",
  from: anyStateBut("PENDING", "RUNNING", "CANCELLING"),
  to: statesOf("PENDING"),
  decide({ run, deployment, slot, clientVersion, leaseId, now }) {
    if (!run.deployment_id || OWN_SLOTS.has(clientVersion ?? "")) return undefined;
    if (!deployment) return abort("Deployment not found.");
    const { limit } = deployment;
    if (!limit || slot === "none") return undefined;
    if (limit.slots === 0) {
      return abort("The deployment concurrency limit is 0. The flow will deadlock if submitted again.");
    }
    if (slot !== "full") {
      const seconds = deployment.grace_period_seconds;
      return {
        kind: "adjust",
        details: { deployment_concurrency_lease_id: leaseId },
        effects: [{ kind: "take-slot", limit_id: limit.id, lease_id: leaseId, seconds }],
      };
    }
    const reason = "Deployment concurrency limit reached.";
    if (deployment.collision_strategy === "CANCEL_NEW") {
      return { kind: "reject", state: { type: "CANCELLED", message: reason }, reason };
    }
    const scheduled_time = now + SLOT_WAIT_SECONDS * SECOND;
    const state = { type: "SCHEDULED", name: "AwaitingConcurrencySlot", state_details: { scheduled_time } } as const;
    return reject(reason, state);
  },
};

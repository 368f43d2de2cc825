/** Rules about the slots of concurrency limits: a deployment's limit, and the limits on the tags of a task run. */
import { SECOND } from "#lib/clock";
import { compareVersions, parseVersion } from "#lib/versions";
import {
  abort,
  anyStateBut,
  type FlowRunContext,
  reject,
  type Rule,
  type RunContext,
  statesOf,
  type TaskRunContext,
} from "#orchestration/transition";

/** Prefect: `server.deployments.concurrency_slot_wait_seconds`. */
const SLOT_WAIT_SECONDS = 30;
/** Prefect: WORKER_VERSIONS_THAT_MANAGE_DEPLOYMENT_CONCURRENCY; workers of these versions take the slots themselves. */
const OWN_SLOTS: ReadonlySet<string> = new Set(["3.0.0rc20", "3.0.0", "3.0.1", "3.0.2", "3.0.3"]);

/**
 * A flow run of a deployment with a concurrency limit takes a slot when it becomes PENDING, before its infrastructure is created. From
 * then on the client renews the lease. If no slot is free, the deployment decides whether the run waits or becomes CANCELLED.
 */
export const secureFlowConcurrencySlots: Rule<FlowRunContext> = {
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
    if (deployment.collision_strategy === "CANCEL_NEW") return reject(reason, { type: "CANCELLED", message: reason });
    const scheduled_time = now + SLOT_WAIT_SECONDS * SECOND;
    return reject(reason, { type: "SCHEDULED", name: "AwaitingConcurrencySlot", state_details: { scheduled_time } });
  },
};

/** The next state of a flow run keeps the id of the lease if the client does not send the id. Workers do not send it. */
export const preserveDeploymentConcurrencyLeaseId: Rule<FlowRunContext> = {
  decide({ initial }, proposed) {
    const leaseId = initial?.state_details.deployment_concurrency_lease_id;
    if (!leaseId || proposed.state_details.deployment_concurrency_lease_id) return undefined;
    return { kind: "adjust", details: { deployment_concurrency_lease_id: leaseId } };
  },
};

/**
 * If the lease of a flow run expired while its infrastructure was created, the run takes a slot again before it is RUNNING. If no slot
 * is free, the run becomes CANCELLED. The run cannot be scheduled again, because its infrastructure exists.
 */
export const validateDeploymentConcurrencyAtRunning: Rule<FlowRunContext> = {
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

/** The flow run of a client that cannot renew the lease keeps its slot until the run has ended. */
export const removeDeploymentConcurrencyLeaseForOldClientVersions: Rule<FlowRunContext> = {
  from: statesOf("PENDING"),
  to: statesOf("RUNNING", "CANCELLING"),
  after(context) {
    const leaseId = context.initial?.state_details.deployment_concurrency_lease_id;
    if (!leaseId || renewsLeases(context)) return undefined;
    return { effects: [{ kind: "keep-slot-without-end", lease_id: leaseId }] };
  },
};

/** Prefect: MIN_CLIENT_VERSION_FOR_CONCURRENCY_LIMIT_LEASING. */
const FIRST_WITH_LEASES = [3, 4, 11] as const;
/** A pre-release, for example 3.4.11rc1 or 3.4.11.dev2, comes before its release. */
const PRE_RELEASE = /^\d+\.\d+\.\d+\.?(a|b|rc|dev)/;

/** Whether the client renews the lease on its run's slot. Prefect's client does so since 3.4.11. */
function renewsLeases({ clientVersion }: Pick<RunContext, "clientVersion">): boolean {
  const text = clientVersion ?? "";
  const version = parseVersion(text);
  if (version === null) return false;
  const order = compareVersions(version, FIRST_WITH_LEASES);
  return order > 0 || (order === 0 && !PRE_RELEASE.test(text));
}

/**
 * A late flow run becomes CANCELLED if its deployment has no free slot and the collision strategy CANCEL_NEW, because
 * perhaps no client ever proposes PENDING for the run.
 */
export const enforceDeploymentConcurrencyOnLate: Rule<FlowRunContext> = {
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

/** A task run takes a slot of each limit on its tags before it runs. If a limit is full, the client proposes again later. */
export const secureTaskConcurrencySlots: Rule<TaskRunContext> = {
  to: statesOf("RUNNING"),
  decide({ run: { tags }, slots, leaseId }) {
    if (tags.length === 0) return undefined;
    switch (slots?.kind) {
      case "too small":
        return abort(
          `The concurrency limit on tag "${slots.tags[0]}" is 0 and will deadlock if the task tries to run again.`,
        );
      case "full":
        return {
          kind: "wait",
          // The answer has whole seconds.
          delaySeconds: Math.max(1, Math.round(slots.retry_after_seconds)),
          reason: `Concurrency limit reached for tags: ${slots.tags.join(", ")}`,
        };
      default:
        return { kind: "adjust", effects: [{ kind: "take-tag-slots", tags, lease_id: leaseId }] };
    }
  },
};

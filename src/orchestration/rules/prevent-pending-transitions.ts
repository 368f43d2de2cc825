/** A run becomes PENDING once. A second PENDING is refused, unless its name is of a later step of the same submission. */
import { abort, type Rule, type RunContext, statesOf } from "#orchestration/transition";

export const preventPendingTransitions: Rule<RunContext> = {
  name: "PreventPendingTransitions",
  from: statesOf("PENDING", "CANCELLING", "RUNNING", "CANCELLED"),
  to: statesOf("PENDING"),
  decide({ initial }, proposed) {
    if (!initial) return undefined;
    const isNextStep = initial.type === "PENDING" && initial.name !== proposed.name && proposed.name !== "Pending";
    if (!isNextStep) {
      return abort(`This run is in a ${initial.type} state and cannot transition to a PENDING state.`);
    }
    const { scheduled_time, deployment_concurrency_lease_id } = initial.state_details;
    return { kind: "adjust", details: { scheduled_time, deployment_concurrency_lease_id } };
  },
};

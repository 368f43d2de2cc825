/** Rules about a state that is proposed a second time. */
import {
  abort,
  ANY_STATE,
  type FlowRunContext,
  reject,
  type Rule,
  type RunContext,
  statesOf,
} from "#orchestration/transition";

/** A client sends a transition again if the answer was lost. The repeat changes nothing. The client gives each transition an id. */
export const preventDuplicateTransitions: Rule<FlowRunContext> = {
  from: ANY_STATE,
  to: ANY_STATE,
  decide({ initial }, proposed) {
    const proposedId = proposed.state_details.transition_id;
    if (!proposedId || proposedId !== initial?.state_details.transition_id) return undefined;
    return reject("This run has already made this state transition.");
  },
};

/** A run becomes PENDING once. A second PENDING is refused, unless its name belongs to a later step of the same submission. */
export const preventPendingTransitions: Rule<RunContext> = {
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

/** Not in Prefect 3 (Prefect 1: version locking): if the deployment has `exactly_once`, a RUNNING run cannot become RUNNING again. */
export const refuseSecondRunning: Rule<FlowRunContext> = {
  from: statesOf("RUNNING"),
  to: statesOf("RUNNING"),
  decide({ deployment }) {
    if (!deployment?.exactly_once) return undefined;
    return abort("This run is running already, and its deployment lets it be started only once.");
  },
};

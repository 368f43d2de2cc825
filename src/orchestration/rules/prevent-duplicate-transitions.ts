/** A transition that a client sends again, because the answer was lost, changes nothing. The client marks it with an id. */
import { ANY_STATE, type FlowRunContext, reject, type Rule } from "#orchestration/transition";

export const preventDuplicateTransitions: Rule<FlowRunContext> = {
  name: "PreventDuplicateTransitions",
  from: ANY_STATE,
  to: ANY_STATE,
  decide({ initial }, proposed) {
    const proposedId = proposed.state_details.transition_id;
    if (!proposedId || proposedId !== initial?.state_details.transition_id) return undefined;
    return reject("This run has already made this state transition.");
  },
};

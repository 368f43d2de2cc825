/** A CANCELLING run can only become CANCELLED. */
import { anyStateBut, statesOf, type Rule, type RunContext } from "#orchestration/transition";

export const enforceCancellingToCancelledTransition: Rule<RunContext> = {
  name: "EnforceCancellingToCancelledTransition",
  from: statesOf("CANCELLING"),
  to: anyStateBut("CANCELLED"),
  decide() {
    return {
      kind: "reject",
      state: null,
      reason: "Cannot transition flows that are cancelling to a state other than Cancelled.",
    };
  },
};

/** A CANCELLING run can only become CANCELLED. */
import { anyStateBut, reject, type Rule, type RunContext, statesOf } from "#orchestration/transition";

export const enforceCancellingToCancelledTransition: Rule<RunContext> = {
  name: "EnforceCancellingToCancelledTransition",
  from: statesOf("CANCELLING"),
  to: anyStateBut("CANCELLED"),
  decide() {
    return reject("Cannot transition flows that are cancelling to a state other than Cancelled.");
  },
};

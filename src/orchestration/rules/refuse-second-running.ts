/** Not in Prefect 3 (Prefect 1: version locking): if the deployment says so, a RUNNING run cannot become RUNNING again. */
import { abort, type FlowRunContext, type Rule, statesOf } from "#orchestration/transition";

export const refuseSecondRunning: Rule<FlowRunContext> = {
  name: "RefuseSecondRunning",
  from: statesOf("RUNNING"),
  to: statesOf("RUNNING"),
  decide({ deployment }) {
    if (!deployment?.exactly_once) return undefined;
    return abort("This run is running already, and its deployment lets it be started only once.");
  },
};

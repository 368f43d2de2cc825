/** Ours (Prefect 1: version locking): a run of a deployment that asks for it is not started again while it is running. */
import { statesOf, type FlowRunContext, type Rule } from "#orchestration/transition";

export const refuseSecondRunning: Rule<FlowRunContext> = {
  name: "RefuseSecondRunning",
  from: statesOf("RUNNING"),
  to: statesOf("RUNNING"),
  decide({ deployment }) {
    if (!deployment?.exactly_once) return undefined;
    return { kind: "abort", reason: "This run is running already, and its deployment lets it be started only once." };
  },
};

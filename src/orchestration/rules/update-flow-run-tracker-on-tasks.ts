/** A task run remembers in which try of its flow run it ran. */
import { ANY_STATE, statesOf, type Rule, type TaskRunContext } from "#orchestration/transition";

export const updateFlowRunTrackerOnTasks: Rule<TaskRunContext> = {
  name: "UpdateFlowRunTrackerOnTasks",
  from: ANY_STATE,
  to: statesOf("RUNNING"),
  after({ flowRun }) {
    return flowRun ? { changes: { flow_run_run_count: flowRun.run_count } } : undefined;
  },
};

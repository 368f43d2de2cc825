/** A task run keeps the run count of its flow run, at the time when it runs. */
import { ANY_STATE, statesOf, type Rule, type TaskRunContext } from "#orchestration/transition";

export const updateFlowRunTrackerOnTasks: Rule<TaskRunContext> = {
  name: "UpdateFlowRunTrackerOnTasks",
  from: ANY_STATE,
  to: statesOf("RUNNING"),
  after({ flowRun }) {
    return flowRun ? { changes: { flow_run_run_count: flowRun.run_count } } : undefined;
  },
};

/** A subflow's state names the task run that stands for it in its parent. */
import type { FlowRunContext, Transform } from "#orchestration/transition";

export const updateSubflowStateDetails: Transform<FlowRunContext> = {
  name: "UpdateSubflowStateDetails",
  apply({ run }) {
    return run.parent_task_run_id ? { details: { task_run_id: run.parent_task_run_id } } : undefined;
  },
};

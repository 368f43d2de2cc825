/** The task run that stands for a subflow in its parent follows the subflow's state. */
import type { FlowRunContext, Transform } from "#orchestration/transition";

export const updateSubflowParentTask: Transform<FlowRunContext> = {
  name: "UpdateSubflowParentTask",
  apply({ run }, { type, name, message, data, state_details }) {
    if (!run.parent_task_run_id) return undefined;
    const details = { ...state_details, child_flow_run_id: run.id };
    const state = { type, name, message, data, state_details: details };
    return { effects: [{ kind: "update-parent-task-run", task_run_id: run.parent_task_run_id, state }] };
  },
};

/** A state names the runs it belongs to. */
import type { FlowRunContext, TaskRunContext, Transform } from "#orchestration/transition";

const name = "UpdateStateDetails";

export const updateFlowRunStateDetails: Transform<FlowRunContext> = {
  name,
  apply({ run }) {
    return { details: { flow_run_id: run.id } };
  },
};

export const updateTaskRunStateDetails: Transform<TaskRunContext> = {
  name,
  apply({ run }) {
    return { details: { flow_run_id: run.flow_run_id, task_run_id: run.id } };
  },
};

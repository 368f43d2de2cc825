/** The states of a background task keep the id of its parameters until it runs. */
import { statesOf, type Rule, type TaskRunContext } from "#orchestration/transition";

export const copyTaskParametersId: Rule<TaskRunContext> = {
  name: "CopyTaskParametersID",
  from: statesOf("SCHEDULED", "PENDING"),
  to: statesOf("PENDING", "RUNNING"),
  decide({ initial }, proposed) {
    if (!initial || proposed.state_details.task_parameters_id) return undefined;
    return { kind: "adjust", details: { task_parameters_id: initial.state_details.task_parameters_id } };
  },
};

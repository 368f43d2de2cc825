/** A task run of a flow run is RUNNING only while the flow run is. */
import { abort, ANY_STATE, reject, type Rule, statesOf, type TaskRunContext } from "#orchestration/transition";

export const preventRunningTasksFromStoppedFlows: Rule<TaskRunContext> = {
  name: "PreventRunningTasksFromStoppedFlows",
  from: ANY_STATE,
  to: statesOf("RUNNING"),
  decide({ flowRun }) {
    if (!flowRun || flowRun.state?.type === "RUNNING") return undefined;
    if (flowRun.state?.type !== "PAUSED") {
      return abort("The enclosing flow must be running to begin task execution.");
    }
    const { pause_timeout, pause_reschedule } = flowRun.state.state_details;
    return reject(`The flow is paused, new tasks can execute after resuming flow run: ${flowRun.id}.`, {
      type: "PAUSED",
      name: "NotReady",
      state_details: { pause_timeout, pause_reschedule },
    });
  },
};

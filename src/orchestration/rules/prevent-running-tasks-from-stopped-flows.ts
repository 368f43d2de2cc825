/** A task run of a flow run is RUNNING only while the flow run is. */
import { ANY_STATE, statesOf, type Rule, type TaskRunContext } from "#orchestration/transition";

export const preventRunningTasksFromStoppedFlows: Rule<TaskRunContext> = {
  name: "PreventRunningTasksFromStoppedFlows",
  from: ANY_STATE,
  to: statesOf("RUNNING"),
  decide({ flowRun }) {
    if (!flowRun || flowRun.state?.type === "RUNNING") return undefined;
    if (flowRun.state?.type !== "PAUSED") {
      return { kind: "abort", reason: "The enclosing flow must be running to begin task execution." };
    }
    const { pause_timeout, pause_reschedule } = flowRun.state.state_details;
    return {
      kind: "reject",
      state: { type: "PAUSED", name: "NotReady", state_details: { pause_timeout, pause_reschedule } },
      reason: `The flow is paused, new tasks can execute after resuming flow run: ${flowRun.id}.`,
    };
  },
};

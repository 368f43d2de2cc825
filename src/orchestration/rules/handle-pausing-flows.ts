/**
 * Only a RUNNING flow run becomes PAUSED, once for each pause key. A suspension also needs a deployment, which starts
 * the run again.
 */
import { abort, ANY_STATE, type FlowRunContext, reject, type Rule, statesOf } from "#orchestration/transition";

export const handlePausingFlows: Rule<FlowRunContext> = {
  name: "HandlePausingFlows",
  from: ANY_STATE,
  to: statesOf("PAUSED"),
  decide({ initial, run }, proposed) {
    const verb = proposed.name === "Suspended" ? "suspend" : "pause";
    if (!initial) return abort(`Cannot ${verb} flows with no state.`);
    if (initial.type !== "RUNNING") {
      return reject(`Cannot ${verb} flows that are not currently running.`);
    }
    const { pause_key: key, pause_reschedule: isSuspension } = proposed.state_details;
    if (key && run.empirical_policy.pause_keys?.includes(key)) {
      return reject(`This ${verb} has already fired.`);
    }
    if (!isSuspension) return undefined;
    if (run.parent_task_run_id) return abort(`Cannot ${verb} subflows.`);
    if (run.deployment_id) return undefined;
    return abort(`Cannot ${verb} flows without a deployment.`);
  },
  after({ run, ids }, written) {
    const key = written.state_details.pause_key ?? ids.random();
    const pause_keys = [...(run.empirical_policy.pause_keys ?? []), key];
    return { changes: { empirical_policy: { ...run.empirical_policy, pause_keys } } };
  },
};

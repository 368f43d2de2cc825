/** A failed flow run with retries left becomes AwaitingRetry, and is retried in the same process. */
import { SECOND } from "#lib/clock";
import { isApiBefore, knowsPauses, withoutPauses } from "#orchestration/predicates";
import { statesOf, type FlowRunContext, type Rule } from "#orchestration/transition";

export const retryFailedFlows: Rule<FlowRunContext> = {
  name: "RetryFailedFlows",
  from: statesOf("RUNNING"),
  to: statesOf("FAILED"),
  decide(context, proposed) {
    const { initial, run, now } = context;
    const { retries, retry_delay: delaySeconds } = run.empirical_policy;
    if (retries === null || retries === undefined || run.run_count > retries) {
      // The process retries no more. A later retry is a request of a user.
      return { kind: "adjust", changes: { empirical_policy: { ...run.empirical_policy, retry_type: null } } };
    }
    const scheduled_time = now + (delaySeconds ?? 0) * SECOND;
    return {
      kind: "reject",
      state: {
        type: "SCHEDULED",
        name: "AwaitingRetry",
        message: proposed.message,
        data: proposed.data,
        state_details: {
          scheduled_time,
          // The process renews its lease while it waits.
          deployment_concurrency_lease_id: initial?.state_details.deployment_concurrency_lease_id,
        },
      },
      reason: "Retrying",
      changes: knowsPauses(context) ? { empirical_policy: withoutPauses(run.empirical_policy, "in_process") } : {},
      // A client before API version 0.8.3 expects that the server makes failed task runs wait too.
      effects: isApiBefore(context, 3) ? [{ kind: "retry-failed-task-runs", scheduled_time }] : [],
    };
  },
};

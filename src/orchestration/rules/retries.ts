/** Rules about runs that run again, and about a state that is proposed a second time. */
import { SECOND } from "#lib/clock";
import { isApiBefore, knowsPauses, withoutPauses } from "#orchestration/predicates";
import {
  type FlowRunContext,
  reject,
  type Rule,
  type RunContext,
  statesOf,
  type TaskRunContext,
  abort,
} from "#orchestration/transition";

/** A failed flow run with retries left becomes AwaitingRetry, and is retried in the same process. */
export const retryFailedFlows: Rule<FlowRunContext> = {
  from: statesOf("RUNNING"),
  to: statesOf("FAILED"),
  decide(context, { message, data }) {
    const { initial, run, now } = context;
    const { retries, retry_delay: delaySeconds } = run.empirical_policy;
    if (retries === null || retries === undefined || run.run_count > retries) {
      // The process does not retry again. A later retry is a user's request.
      return { kind: "adjust", changes: { empirical_policy: { ...run.empirical_policy, retry_type: null } } };
    }
    const scheduled_time = now + (delaySeconds ?? 0) * SECOND;
    // The process renews its lease while it waits.
    const deployment_concurrency_lease_id = initial?.state_details.deployment_concurrency_lease_id;
    const state_details = { scheduled_time, deployment_concurrency_lease_id };
    return {
      kind: "reject",
      state: { type: "SCHEDULED", name: "AwaitingRetry", message, data, state_details },
      reason: "Retrying",
      changes: knowsPauses(context) ? { empirical_policy: withoutPauses(run.empirical_policy, "in_process") } : {},
      // A client before API version 0.8.3 expects the server to make failed task runs wait, too.
      effects: isApiBefore(context, 3) ? [{ kind: "retry-failed-task-runs", scheduled_time }] : [],
    };
  },
};

/** A failed task run with retries left becomes AwaitingRetry, if its failure can be retried. */
export const retryFailedTasks: Rule<TaskRunContext> = {
  from: statesOf("RUNNING"),
  to: statesOf("FAILED"),
  decide({ run, now, random }, { message, data, state_details }) {
    const { retries } = run.empirical_policy;
    if (state_details.retriable === false) return undefined;
    if (retries === null || retries === undefined || run.run_count > retries) return undefined;
    const scheduled_time = now + Math.round(delayOf(run, random) * SECOND);
    return reject("Retrying", {
      type: "SCHEDULED",
      name: "AwaitingRetry",
      message,
      data,
      state_details: { scheduled_time },
    });
  },
};

/** The delay until the next try, in seconds. */
function delayOf({ run_count, empirical_policy }: TaskRunContext["run"], random: () => number): number {
  const { retry_delay: delays, retry_jitter_factor: jitter } = empirical_policy;
  // Prefect: `RetryFailedTasks` uses the last delay of a list for all later tries, and for a run that never ran.
  const delaySeconds = Array.isArray(delays) ? delays.at(Math.min(run_count, delays.length) - 1) : delays;
  return jitter && delaySeconds ? jittered(delaySeconds, jitter, random) : (delaySeconds ?? 0);
}

/** Prefect: `clamped_poisson_interval`, an exponential variate with this mean, of at most `1 + jitter` times the mean. */
function jittered(meanSeconds: number, jitter: number, random: () => number): number {
  const upper = 1 + jitter;
  // A smaller upper bound has a higher lower bound, so that the mean stays about the same.
  const lower = upper >= 50 ? 0 : Math.log2(2 ** upper / (2 ** upper - 1));
  const from = 1 - Math.exp(-lower);
  const to = 1 - Math.exp(-upper);
  const drawn = from + (to - from) * random();
  // Because of rounding, the result may be slightly above the upper bound.
  return Math.min(upper, -Math.log(Math.max(1 - drawn, 1e-10))) * meanSeconds;
}

/** The state of a task run that runs again has a name that shows the rerun. */
export const renameReruns: Rule<RunContext> = {
  to: statesOf("RUNNING"),
  decide({ initial, run }) {
    if (!initial || run.run_count === 0) return undefined;
    return { kind: "adjust", name: initial.name === "AwaitingRetry" ? "Retrying" : "Rerunning" };
  },
};

/** A client sends a transition again if the answer was lost. The repeat changes nothing. The client gives each transition an id. */
export const preventDuplicateTransitions: Rule<FlowRunContext> = {
  decide({ initial }, proposed) {
    const proposedId = proposed.state_details.transition_id;
    if (!proposedId || proposedId !== initial?.state_details.transition_id) return undefined;
    return reject("This run has already made this state transition.");
  },
};

/** A run becomes PENDING once. A second PENDING is refused, unless its name belongs to a later step of the same submission. */
export const preventPendingTransitions: Rule<RunContext> = {
  from: statesOf("PENDING", "CANCELLING", "RUNNING", "CANCELLED"),
  to: statesOf("PENDING"),
  decide({ initial }, proposed) {
    if (!initial) return undefined;
    const isNextStep = initial.type === "PENDING" && initial.name !== proposed.name && proposed.name !== "Pending";
    if (!isNextStep) {
      return abort(`This run is in a ${initial.type} state and cannot transition to a PENDING state.`);
    }
    const { scheduled_time, deployment_concurrency_lease_id } = initial.state_details;
    return { kind: "adjust", details: { scheduled_time, deployment_concurrency_lease_id } };
  },
};

/** Not in Prefect 3 (Prefect 1: version locking): if the deployment has `exactly_once`, a RUNNING run cannot become RUNNING again. */
export const refuseSecondRunning: Rule<FlowRunContext> = {
  from: statesOf("RUNNING"),
  to: statesOf("RUNNING"),
  decide({ deployment }) {
    if (!deployment?.exactly_once) return undefined;
    return abort("This run is running already, and its deployment lets it be started only once.");
  },
};

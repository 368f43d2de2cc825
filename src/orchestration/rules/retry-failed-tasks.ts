/** A failed task run with retries left becomes AwaitingRetry, if its failure can be retried. */
import { SECOND } from "#lib/clock";
import { reject, type Rule, statesOf, type TaskRunContext } from "#orchestration/transition";

export const retryFailedTasks: Rule<TaskRunContext> = {
  name: "RetryFailedTasks",
  from: statesOf("RUNNING"),
  to: statesOf("FAILED"),
  decide({ run, now, random }, proposed) {
    const { retries } = run.empirical_policy;
    if (proposed.state_details.retriable === false) return undefined;
    if (retries === null || retries === undefined || run.run_count > retries) return undefined;
    const scheduled_time = now + Math.round(delayOf(run, random) * SECOND);
    return reject("Retrying", {
      type: "SCHEDULED",
      name: "AwaitingRetry",
      message: proposed.message,
      data: proposed.data,
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
  // By rounding, the result may be a little more than the upper bound.
  return Math.min(upper, -Math.log(Math.max(1 - drawn, 1e-10))) * meanSeconds;
}

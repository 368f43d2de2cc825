/** A task run's row as answers show the task run. */
import { readJson } from "#db/database";
import { type TaskRunRow, taskRuns } from "#db/rows/task-runs";
import { estimatedRunTime, startTimeDelta } from "#db/run-estimates";
import { readStates } from "#db/task-run-states";
import type { Micros } from "#lib/clock";
import { printDuration } from "#wire/dates";
import { printState } from "#wire/state";

/** A task run as answers show it. */
export function printTaskRun(row: TaskRunRow, now: Micros) {
  const state = readStates(row.states).find((one) => one.id === row.state_id) ?? null;
  return {
    ...taskRuns.print(row),
    empirical_policy: { ...EMPTY_POLICY, ...readJson<Record<string, unknown>>(row.empirical_policy) },
    estimated_run_time: printDuration(estimatedRunTime(row, state, now)),
    estimated_start_time_delta: printDuration(startTimeDelta(row, now)),
    state: state && printState(state),
  };
}

/** Every field of a policy, as pydantic prints its model. */
const EMPTY_POLICY = {
  max_retries: 0,
  retry_delay_seconds: 0,
  retries: null,
  retry_delay: null,
  retry_jitter_factor: null,
};

/** Rows of task runs, as several stores and operations read them. */
import { codec } from "#db/codec";
import type { Database } from "#db/database";
import { rowsInFull, shortenedColumns } from "#db/long-values";
import { task_run } from "#db/tables/task-run";
import { areTaskRuns } from "#db/task-run-keys";
import type { Portions } from "#lib/portions";

export type TaskRunRow = typeof task_run.$inferSelect;

/** Shows and makes rows of task runs. */
export const taskRuns = codec(task_run, {
  // Answers show `state` instead of `states`, and a policy with every field.
  omit: ["workspace_id", "state_timestamp", "states", "background", "empirical_policy", "key_hash"],
  preset: { run_count: 0, flow_run_run_count: 0, total_run_time: 0 },
});

/** The columns of a list, without long values; see `taskRunsInFull`. */
export const TASK_RUN_IN_LIST = shortenedColumns(task_run);

/** Adds the long values to task runs that were read without long values. */
export function taskRunsInFull(db: Database, workspaceId: string, rows: readonly TaskRunRow[]): Portions<TaskRunRow> {
  return rowsInFull(db, task_run, rows, (ids) => areTaskRuns(workspaceId, ids));
}

/** Rows of task runs, as many read them. */
import type { Database } from "#db/database";
import { rowsInFull, shortenedColumns } from "#db/long-values";
import { task_run } from "#db/tables/task-run";
import type { Portions } from "#lib/portions";

export type TaskRunRow = typeof task_run.$inferSelect;

/** The columns of a list, without long values; see `taskRunsInFull`. */
export const TASK_RUN_IN_LIST = shortenedColumns(task_run);

/** Task runs that were read without long values, with them. */
export function taskRunsInFull(db: Database, workspaceId: string, rows: readonly TaskRunRow[]): Portions<TaskRunRow> {
  return rowsInFull(db, task_run, workspaceId, rows);
}

/** Rows of task runs, as the code reads them: ids are texts. */
import { env } from "cloudflare:test";
import { type SQL, sql } from "drizzle-orm";
import { Database } from "#db/database";
import { uuidText } from "#db/short/ids";
import type { TaskRunRow } from "#db/rows/task-runs";
import { areTaskRuns, ofFlowRun } from "#db/task-run-keys";
import { DEFAULT_WORKSPACE } from "#env";
import { noCost } from "#lib/cost";

const rowsWhere = (condition: SQL): Promise<TaskRunRow[]> =>
  new Database(env.DB, noCost()).rows<TaskRunRow>(
    sql`select * from task_run where ${condition} order by ${sql.raw(uuidText("id"))}`,
  );

/** The task runs of a flow run, in the order of their ids. */
export const taskRowsOf = (flowRunId: string) => rowsWhere(ofFlowRun(DEFAULT_WORKSPACE, flowRunId));

/** A task run's row. */
export async function taskRow(id: string): Promise<TaskRunRow> {
  const [row] = await rowsWhere(areTaskRuns(DEFAULT_WORKSPACE, [id]));
  if (!row) throw new Error(`no task run ${id}`);
  return row;
}

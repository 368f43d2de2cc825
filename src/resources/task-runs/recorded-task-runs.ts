/** Reads, renames and deletes task runs, after what clients have reported of the named runs is recorded. */
import { type SQL, sql } from "drizzle-orm";
import { readJson } from "#db/database";
import { TASK_RUN_IN_LIST, type TaskRunRow, taskRunsInFull } from "#db/rows/task-runs";
import { task_run } from "#db/tables/task-run";
import type { AskedRuns } from "#events/emit";
import { readRecorded } from "#events/read-recorded";
import type { FilterBody } from "#filters/joins";
import type { Portions } from "#lib/portions";
import type { Tools } from "#tools";
import { type StateType, TERMINAL_TYPES } from "#wire/state";

/** A page of task runs. `where` and `order` come from the filters. */
interface Page {
  where: SQL;
  order: SQL;
  limit: number;
  offset: number;
}

/** The runs that a body of filters names. */
export function askedRuns({ flow_runs, task_runs }: FilterBody): AskedRuns {
  return {
    flowRunIds: [...(flow_runs?.id?.any_ ?? []), ...(task_runs?.flow_run_id?.any_ ?? [])],
    taskRunIds: task_runs?.id?.any_ ?? [],
  };
}

const hasId = ({ workspaceId }: Tools, id: string) =>
  sql`${task_run.workspace_id} = ${workspaceId} and ${task_run.id} = ${id}`;

/** One task run, or undefined. Where it has ended, as most have, no report is looked for. */
export async function readTaskRun(tools: Tools, id: string): Promise<TaskRunRow | undefined> {
  const select = sql`select * from ${task_run} where ${hasId(tools, id)}`;
  const [row] = await tools.db.rows<TaskRunRow>(select);
  if (row && TERMINAL_TYPES.has(row.state_type as StateType)) return row;
  const [rows] = await readRecorded(tools, { taskRunIds: [id] }, [select]);
  return rows?.[0] as TaskRunRow | undefined; // `select *` of this very table
}

/** A page of the task runs that meet a condition, and how many there are. */
export async function readPage(
  tools: Tools,
  asked: AskedRuns,
  page: Page,
): Promise<{ runs: Portions<TaskRunRow>; count: number }> {
  const [rows, counts] = await readRecorded(tools, asked, [selectPage(page), selectCount(page.where)]);
  return { runs: inFull(tools, rows), count: countOf(counts) };
}

/** A page of the task runs that meet a condition. */
export async function listTaskRuns(tools: Tools, asked: AskedRuns, page: Page): Promise<Portions<TaskRunRow>> {
  const [rows] = await readRecorded(tools, asked, [selectPage(page)]);
  return inFull(tools, rows);
}

/** How many task runs meet a condition. */
export async function countTaskRuns(tools: Tools, asked: AskedRuns, where: SQL): Promise<number> {
  const [rows] = await readRecorded(tools, asked, [selectCount(where)]);
  return countOf(rows);
}

/** Selects a page without long values; see `inFull`. */
const selectPage = ({ where, order, limit, offset }: Page) =>
  sql`select ${TASK_RUN_IN_LIST} from ${task_run} where ${where} order by ${order} limit ${limit} offset ${offset}`;

const inFull = (tools: Tools, rows: unknown[] = []) =>
  taskRunsInFull(tools.db, tools.workspaceId, rows as TaskRunRow[]); // the rows of `selectPage`

const selectCount = (where: SQL) => sql`select count(*) as count from ${task_run} where ${where}`;

const countOf = (rows: Record<string, unknown>[] | undefined) => Number(rows?.[0]?.["count"] ?? 0);

/** Gives a task run another name; with null it keeps its name. Gives whether there is such a task run. */
export function renameTaskRun(tools: Tools, id: string, name: string | null): Promise<boolean> {
  return onReported(tools, id, async () => {
    const { changes } = await tools.db.run(
      sql`update ${task_run} set name = coalesce(${name}, name), updated = ${tools.clock()} where ${hasId(tools, id)}`,
    );
    return changes > 0;
  });
}

/** Deletes a task run. Gives its tags, or undefined where there is no such task run. */
export function deleteTaskRun(tools: Tools, id: string): Promise<string[] | undefined> {
  return onReported(tools, id, async () => {
    const { rows } = await tools.db.run(sql`delete from ${task_run} where ${hasId(tools, id)} returning tags`);
    return rows[0] && readJson<string[]>(String(rows[0]["tags"]));
  });
}

/** Makes a change. Where there is no such task run, makes the change again after what is reported of the task run is recorded. */
async function onReported<T>(tools: Tools, id: string, change: () => Promise<T>): Promise<T> {
  const changed = await change();
  if (changed) return changed;
  await readRecorded(tools, { taskRunIds: [id] }, []);
  return change();
}

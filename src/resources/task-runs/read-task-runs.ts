/** Reads of task runs, each on what is reported up to now of the runs that it names. */
import type { SQL } from "drizzle-orm";
import { type TaskRunRow, taskRunsInFull } from "#db/rows/task-runs";
import type { FilterBody } from "#filters/bodies";
import { type AskedRuns, readRecorded } from "#events/read-recorded";
import type { Portions } from "#lib/portions";
import { type Page, TaskRunStore } from "#resources/task-runs/store";
import type { Tools } from "#tools";
import { type StateType, TERMINAL_TYPES } from "#wire/state";

const store = (tools: Tools) => new TaskRunStore(tools);

/** Rows of the store's own select. */
const inFull = (tools: Tools, rows: unknown[] = []) =>
  taskRunsInFull(tools.db, tools.workspaceId, rows as TaskRunRow[]);

/** The runs that a body of filters names. */
export function askedRuns({ flow_runs, task_runs }: FilterBody): AskedRuns {
  return {
    flowRunIds: [...(flow_runs?.id?.any_ ?? []), ...(task_runs?.flow_run_id?.any_ ?? [])],
    taskRunIds: task_runs?.id?.any_ ?? [],
  };
}

/** One task run, or undefined. One that has ended is read and no more; most of those that are asked for have. */
export async function readTaskRun(tools: Tools, id: string): Promise<TaskRunRow | undefined> {
  const select = store(tools).selectOne(id);
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
  const selects = [store(tools).selectPage(page), store(tools).selectCount(page.where)];
  const [rows, counts] = await readRecorded(tools, asked, selects);
  return { runs: inFull(tools, rows), count: Number(counts?.[0]?.["count"] ?? 0) };
}

/** A page of the task runs that meet a condition. */
export async function listTaskRuns(tools: Tools, asked: AskedRuns, page: Page): Promise<Portions<TaskRunRow>> {
  const [rows] = await readRecorded(tools, asked, [store(tools).selectPage(page)]);
  return inFull(tools, rows);
}

/** How many task runs meet a condition. */
export async function countTaskRuns(tools: Tools, asked: AskedRuns, where: SQL): Promise<number> {
  const [rows] = await readRecorded(tools, asked, [store(tools).selectCount(where)]);
  return Number(rows?.[0]?.["count"] ?? 0);
}

/** Does what changes a task run, and does it again after what is reported was recorded where there was no such task run. */
export async function onReported<T>(tools: Tools, id: string, change: () => Promise<T>): Promise<T> {
  const changed = await change();
  if (changed) return changed;
  await readRecorded(tools, { taskRunIds: [id] }, []);
  return change();
}

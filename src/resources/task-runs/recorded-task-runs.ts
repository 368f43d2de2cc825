/** Reads, renames, deletes and prints task runs. First records the reports of clients about them. */
import { type SQL, sql } from "drizzle-orm";
import { deleteArtifactsOfTask } from "#db/artifacts";
import { readJson } from "#db/database";
import { TASK_RUN_IN_LIST, type TaskRunRow, taskRuns, taskRunsInFull } from "#db/rows/task-runs";
import { estimatedRunTime, startTimeDelta } from "#db/run-estimates";
import { task_run } from "#db/tables/task-run";
import { uuidText } from "#db/short/ids";
import { taskPolicyForm } from "#db/short/policy";
import { presentState } from "#db/short/states";
import { BOUND, boundOfLastExpected, mayStartSince } from "#db/task-run-starts";
import { isTaskRun, KEY_FORMS, workspaceIn } from "#db/task-run-keys";
import type { AskedRuns } from "#events/emit";
import { readRecorded } from "#events/read-recorded";
import { type FilterBody, namesStarts, namesTaskRuns, toFilters, whereClause } from "#filters/joins";
import { orderBy, type TaskRunSort } from "#filters/sorts";
import type { Micros } from "#lib/clock";
import { mapPortions } from "#lib/portions";
import type { Tools } from "#tools";
import { printDuration } from "#wire/dates";
import { printState, type StateType, TERMINAL_TYPES } from "#wire/state";

/** The body of a request for a list, and the wanted part of the list. */
type ListBody = FilterBody & { sort: TaskRunSort };
interface Part {
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

const hasId = ({ workspaceId }: Tools, id: string) => isTaskRun(workspaceId, id);

/** One task run, or undefined. If the task run has ended, reports are not read: most task runs have ended. */
export const readTaskRun = (tools: Tools, id: string) => readTaskRunWith<TaskRunRow>(tools, id, sql`task_run.*`);

/** The same with the columns of a caller, who gives the type of the row. */
export async function readTaskRunWith<Row extends TaskRunRow>(
  tools: Tools,
  id: string,
  columns: SQL,
): Promise<Row | undefined> {
  const select = sql`select ${columns} from ${task_run} where ${hasId(tools, id)}`;
  const [row] = await tools.db.rows<Row>(select);
  if (row && TERMINAL_TYPES.has(row.state_type as StateType)) return row;
  const [rows] = await readRecorded(tools, { taskRunIds: [id] }, [select]);
  return rows?.[0] as Row | undefined; // The row of that select.
}

/** A part of the task runs that meet the filters, as answers show them. */
export async function listTaskRuns(tools: Tools, body: ListBody, part: Part) {
  const [rows] = await readRecorded(tools, askedRuns(body), [selectPart(tools, body, part)]);
  return inAnswers(tools, rows);
}

/** How many task runs meet the filters. */
export async function countTaskRuns(tools: Tools, body: FilterBody): Promise<number> {
  const [rows] = await readRecorded(tools, askedRuns(body), [selectCount(tools, body)]);
  return countOf(rows);
}

/** A part of the task runs that meet the filters, as answers show them, and how many there are in all. */
export async function listAndCountTaskRuns(tools: Tools, body: ListBody, part: Part) {
  const selects = [selectPart(tools, body, part), selectCount(tools, body)];
  const [rows, counts] = await readRecorded(tools, askedRuns(body), selects);
  return { items: inAnswers(tools, rows), count: countOf(counts) };
}

/** The condition that a task run meets the filters. */
export const meetsFilters = ({ workspaceId }: Tools, body: FilterBody) =>
  whereClause("task_runs", toFilters(body), workspaceId);

/** Selects a part without long values; see `inAnswers`. */
export function selectPart(tools: Tools, body: ListBody, { limit, offset }: Part): SQL {
  const select = sql`select ${TASK_RUN_IN_LIST} from ${task_run} where ${meetsFilters(tools, body)}`;
  const isIndexed = body.sort === "ID_DESC" || body.sort === "EXPECTED_START_TIME_DESC";
  if (!isIndexed || namesTaskRuns(toFilters(body)) || namesStarts(toFilters(body)))
    return sql`${select} order by ${orderBy("task_runs", body.sort)} limit ${limit} offset ${offset}`;
  if (body.sort === "EXPECTED_START_TIME_DESC") {
    const met = sql`met as not materialized (select * from ${task_run} where ${meetsFilters(tools, body)})`;
    return sql`with ${met}, ${boundOfLastExpected(tools.workspaceId, limit + offset, tools.clock())}
      select ${TASK_RUN_IN_LIST} from met as task_run where ${mayStartSince(tools.workspaceId, BOUND)}
      order by ${orderBy("task_runs", body.sort)} limit ${limit} offset ${offset}`;
  }
  // The key has the ids of each form in order.
  const first = KEY_FORMS.map(
    (form) => sql`select *, ${sql.raw(uuidText("id"))} as id_text from (
      select * from met where workspace_id = ${workspaceIn(form, tools.workspaceId)} order by id desc limit ${limit + offset})`,
  );
  return sql`with met as not materialized (${select}) ${sql.join(first, sql` union all `)}
    order by id_text desc limit ${limit} offset ${offset}`;
}

function inAnswers(tools: Tools, rows: unknown[] = []) {
  const runs = taskRunsInFull(tools.db, tools.workspaceId, rows as TaskRunRow[]); // the rows of `selectPart`
  const now = tools.clock();
  return mapPortions(runs, (some) => some.map((row) => printTaskRun(row, now)));
}

const selectCount = (tools: Tools, body: FilterBody) =>
  sql`select count(*) as count from ${task_run} where ${meetsFilters(tools, body)}`;

const countOf = (rows: Record<string, unknown>[] | undefined) => Number(rows?.[0]?.["count"] ?? 0);

/** Renames a task run. With null the name does not change. Gives whether the task run exists. */
export function renameTaskRun(tools: Tools, id: string, name: string | null): Promise<boolean> {
  return onReported(tools, id, async () => {
    const { changes } = await tools.db.run(
      sql`update ${task_run} set name = coalesce(${name}, name), updated = ${tools.clock()} where ${hasId(tools, id)}`,
    );
    return changes > 0;
  });
}

/** Deletes a task run with its artifacts. Gives its tags, or undefined if the task run does not exist. */
export function deleteTaskRun(tools: Tools, id: string): Promise<string[] | undefined> {
  return onReported(tools, id, async () => {
    const written = await tools.db.batch([
      sql`delete from ${task_run} where ${hasId(tools, id)} returning tags`,
      ...deleteArtifactsOfTask(tools.workspaceId, id),
    ]);
    const [row] = written[0]?.rows ?? [];
    return row && readJson<string[]>(String(row["tags"]));
  });
}

/** Makes a change. If the task run does not exist, records the reports about it and makes the change again. */
async function onReported<T>(tools: Tools, id: string, change: () => Promise<T>): Promise<T> {
  const changed = await change();
  if (changed) return changed;
  await readRecorded(tools, { taskRunIds: [id] }, []);
  return change();
}

/** A task run as answers show it. `state` is the state that the answer has, if it is not the present state. */
export function printTaskRun(row: TaskRunRow, now: Micros, state = presentState(row)) {
  return {
    ...taskRuns.print(row),
    empirical_policy: { ...EMPTY_POLICY, ...taskPolicyForm.read(row.empirical_policy) },
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

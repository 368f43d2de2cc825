/** Reads background tasks from D1 for the object of their queue: the runs to deliver, and the runs that the object does not know. */
import { type SQL, sql } from "drizzle-orm";
import { readJson } from "#db/database";
import { task_run } from "#db/tables/task-run";
import { readState, readStates, type StatesRow } from "#db/short/states";
import { reasonOf } from "#events/dead-letters";
import type { Micros } from "#lib/clock";
import type { QueueNote } from "#objects/task-queue/messages";
import type { TaskRunRow } from "#db/rows/task-runs";
import { printTaskRun } from "#resources/task-runs/recorded-task-runs";
import type { Tools } from "#tools";
import type { State } from "#wire/state";
import { taskQueue } from "#objects/task-queue/client";
import { uuidDigits, uuidText } from "#db/short/ids";
import { asList } from "#db/sql";
import { areTaskRuns, idIn, KEY_FORMS, workspaceIn } from "#db/task-run-keys";

/** The stage of a run that is in the queue or was delivered. A background task is `scheduled` or `pending`. Every other run is `past`. */
type Stage = "scheduled" | "pending" | "past";

/** A run to deliver. */
export interface Found {
  stage: Stage;
  /** The run as JSON, as task workers get it. */
  text: string;
}

/** A run that cannot be delivered, with the reason. */
interface Unreadable {
  wrong: string;
}

/** Reads the runs to deliver, by their ids. A run that cannot be read does not make the others fail. */
export async function readRuns(tools: Tools, ids: readonly string[]): Promise<Map<string, Found | Unreadable>> {
  const rows = await tools.db.rows<TaskRunRow>(sql`select * from ${task_run} where ${among(tools, ids)}`);
  return new Map(rows.map((row) => [row.id, tryToRead(row, tools.clock())]));
}

function tryToRead(row: TaskRunRow, now: Micros): Found | Unreadable {
  try {
    return foundOf(row, now);
  } catch (error) {
    return { wrong: reasonOf(error) };
  }
}

function foundOf(row: TaskRunRow, now: Micros): Found {
  const states = readStates(row);
  const present = states.find((state) => state.id === row.state_id);
  if (!present && row.state_id !== null) throw new Error("its present state is not among its states");
  const stage = stageOf(present);
  // A worker that repeats the run takes the id of the parameters from the state. Only the scheduled state has that id.
  const scheduled = states.findLast((state) => stageOf(state) === "scheduled");
  if (stage !== "pending" || !scheduled) return { stage, text: JSON.stringify(printTaskRun(row, now)) };
  return { stage, text: JSON.stringify(printTaskRun({ ...row, ...columnsOf(scheduled) }, now, scheduled)) };
}

const columnsOf = (state: State) => ({
  state_id: state.id,
  state_type: state.type,
  state_name: state.name,
  state_timestamp: state.timestamp,
});

function stageOf(state: { type: string; state_details: { deferred?: boolean | null } } | undefined): Stage {
  if (!state?.state_details.deferred) return "past";
  if (state.type === "SCHEDULED") return "scheduled";
  return state.type === "PENDING" ? "pending" : "past";
}

/** The stages of these runs, without the runs that do not exist. */
export async function readStages(tools: Tools, ids: readonly string[]): Promise<Map<string, Stage>> {
  const rows = await tools.db.rows<StandingRow>(sql`select ${STANDING} from ${task_run} where ${among(tools, ids)}`);
  return new Map(rows.map((row) => [row.id, stageOfRow(row)]));
}

/** The present state of a run. Null if the database cannot parse the states, for example because they nest too deep. */
const PRESENT_STATE = sql`(select value from json_each(${asList(sql.raw("states"))})
  where case type when 'array' then value ->> 0 = 0 or value ->> 0 = ${sql.raw(uuidDigits("state_id"))}
    else value ->> 'id' = ${sql.raw(uuidText("state_id"))} end)`;

interface StandingRow extends StatesRow {
  state: string | null;
}

const STANDING = sql`id, flow_run_id, state_id, state_type, state_timestamp, ${PRESENT_STATE} as state`;

/** If the state cannot be parsed, its type decides. The delivery finds out whether the run can be delivered. */
function stageOfRow({ state, ...row }: StandingRow): Stage {
  const { state_type } = row;
  try {
    if (state !== null) return stageOf(readState(readJson(state), row));
  } catch {
    // The type decides.
  }
  return stageOf(state_type === null ? undefined : { type: state_type, state_details: { deferred: true } });
}

function among(tools: Tools, ids: readonly string[]): SQL {
  return areTaskRuns(tools.workspaceId, ids);
}

/** A page begins after this scheduled run. */
export interface Place {
  at: Micros;
  id: string;
}

interface WaitingRow extends StandingRow, Pick<TaskRunRow, "task_key" | "next_scheduled_start_time"> {
  state_id: string;
  state_name: string;
  state_timestamp: Micros;
}

const WAITING = sql`task_key, state_name, next_scheduled_start_time, ${STANDING}`;

/** A page of the background tasks that are scheduled, and the `Place` of the next page; null after the last page. */
export async function readScheduled(
  tools: Tools,
  after: Place,
  limit: number,
): Promise<{ runs: QueueNote[]; next: Place | null }> {
  const rows = await tools.db.rows<WaitingRow>(selectScheduled(tools.workspaceId, after, limit));
  const last = rows.length === limit ? rows.at(-1) : undefined;
  return {
    // If a task worker retries a task by itself, the state is scheduled, but not deferred.
    runs: rows.filter((row) => stageOfRow(row) === "scheduled").map(noteOf),
    next: last ? { at: last.state_timestamp, id: last.id } : null,
  };
}

/** Two index seeks among the background tasks that are scheduled. The index has the ids of each form in order. */
export function selectScheduled(workspaceId: string, after: Place, limit: number): SQL {
  const first = KEY_FORMS.map(
    (form) => sql`select *, ${sql.raw(uuidText("id"))} as id_text from (select ${WAITING} from ${task_run}
      where ${task_run.workspace_id} = ${workspaceIn(form, workspaceId)} and ${sql.raw("background = 1 and state_type = 'SCHEDULED'")}
        and (${task_run.state_timestamp}, ${task_run.id}) > (${after.at}, ${idIn(form, after.id)})
      order by ${task_run.state_timestamp}, ${task_run.id} limit ${limit})`,
  );
  return sql`${sql.join(first, sql` union all `)} order by state_timestamp, id_text limit ${limit}`;
}

function noteOf(row: WaitingRow): QueueNote {
  const isRetry = row.state_name === "AwaitingRetry";
  return {
    id: row.id,
    task_key: row.task_key,
    state_id: row.state_id,
    is_retry: isRetry,
    due: isRetry ? (row.next_scheduled_start_time ?? 0) : 0,
    at: row.state_timestamp,
  };
}

/** Puts a background task that was set aside back in the queue. Throws if the run still cannot be delivered. */
export async function requeueTaskRun(tools: Tools, id: string): Promise<void> {
  const read = (await readRuns(tools, [id])).get(id);
  if (read && "wrong" in read) throw new Error(read.wrong);
  const [row] = await tools.db.rows<WaitingRow>(
    sql`select ${WAITING} from ${task_run} where ${among(tools, [id])} and background = 1`,
  );
  // A run that was deleted or has begun does not belong in the queue.
  if (row && stageOfRow(row) === "scheduled") await taskQueue(tools).enqueue(noteOf(row));
}

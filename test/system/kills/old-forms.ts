/** Writes rows of a stopped server in the forms of older code, so that the conversion never comes to its end. */
import { DatabaseSync, type SQLOutputValue } from "node:sqlite";
import { readJson } from "../../../src/db/database.ts";
import { unpack } from "../../../src/db/packed.ts";
import { readDetails } from "../../../src/db/short/details.ts";
import { FIRST_WORKSPACE, uuidText } from "../../../src/db/short/ids.ts";
import { readStates } from "../../../src/db/short/states.ts";
import { databaseIn } from "../old-database/server.ts";

/** How many rows of each table are written in the old form. */
const MOST = 150;
/** The marks of the sweeps, which say that the sweep is done. */
const MARKS = ["pack old logs", "shorten rows and ids", "retention: pack events"];
/** The old forms of these columns of a task run are texts. */
const IDS = ["id", "flow_run_id", "state_id", "dynamic_key"];

type Row = Record<string, SQLOutputValue>;
type StatesRow = Parameters<typeof readStates>[0];

/** Ages some rows of each table. Of task runs and states, only those written since a time. Returns the number of rows. */
export function ageRows(data: string, sinceMs: number): number {
  const database = new DatabaseSync(databaseIn(data));
  try {
    database.exec("begin immediate");
    const aged =
      ageEvents(database) + ageLogs(database) + ageTaskRuns(database, sinceMs) + ageStates(database, sinceMs);
    const forget = database.prepare("delete from sweep_mark where name in (?, ?)");
    for (const mark of MARKS) forget.run(mark, `${mark} begun`);
    database.exec("commit");
    return aged;
  } finally {
    database.close();
  }
}

const some = (database: DatabaseSync, select: string, ...values: number[]): Row[] =>
  database.prepare(`${select} order by random() limit ${MOST}`).all(...values);

const textOf = (value: SQLOutputValue | undefined): string => unpack(value as Uint8Array);

/** A segment whose events are text has no number of bytes among its resources. */
function ageEvents(database: DatabaseSync): number {
  const rows = some(database, "select hour, id, events from event_segment where typeof(events) = 'blob'");
  const change = database.prepare(`update event_segment set events = ?,
    resources = iif(resources ->> 0 like '% bytes', json_remove(resources, '$[0]'), resources)
    where hour = ? and id = ?`);
  for (const { hour = null, id = null, events } of rows) change.run(textOf(events), hour, id);
  return rows.length;
}

function ageLogs(database: DatabaseSync): number {
  const rows = some(database, "select run_id, digest, records from log_segment where typeof(records) = 'blob'");
  const change = database.prepare("update log_segment set records = ? where run_id = ? and digest = ?");
  for (const { run_id: run = null, digest = null, records } of rows) change.run(textOf(records), run, digest);
  return rows.length;
}

function ageTaskRuns(database: DatabaseSync, sinceMs: number): number {
  const ids = IDS.map((name) => `${uuidText(name)} as ${name}`).join(", ");
  const rows = some(
    database,
    `select id as short_id, state_type, state_timestamp, states, ${ids} from task_run
    where typeof(id) = 'blob' and created >= ?`,
    sinceMs * 1_000,
  );
  const change = database.prepare(`update task_run set workspace_id = ?, id = ?, flow_run_id = ?, state_id = ?,
    dynamic_key = ?, key_hash = null, states = ? where id = ?`);
  for (const { short_id: shortId = null, ...row } of rows) {
    const states = JSON.stringify(readStates(row as unknown as StatesRow));
    const [id = null, flowRunId = null, stateId = null, key = null] = IDS.map((name) => row[name]);
    change.run(FIRST_WORKSPACE, id, flowRunId, stateId, key, states, shortId);
  }
  return rows.length;
}

function ageStates(database: DatabaseSync, sinceMs: number): number {
  const rows = some(
    database,
    "select id, flow_run_id, state_details from flow_run_state where timestamp >= ?",
    sinceMs * 1_000,
  );
  const change = database.prepare("update flow_run_state set state_details = ? where id = ?");
  for (const { id = null, flow_run_id: flowRunId, state_details: details } of rows) {
    const long = readDetails(readJson(String(details)), { flow_run_id: String(flowRunId) });
    change.run(JSON.stringify(long), id);
  }
  return rows.length;
}

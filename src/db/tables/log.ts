/** Logs in segments: a row for a batch and run. */
import { type SQL, sql } from "drizzle-orm";
import { primaryKey, sqliteTable } from "drizzle-orm/sqlite-core";
import type { Micros } from "#lib/clock";
import { integer, list, micros, uuid, workspaceId } from "#db/columns";

/** A log within its segment. Its flow run is the run of the segment, unless `no_flow_run` says that it has none. */
export interface LogRecord {
  /** A UUIDv7. Its time is the time at which the log came. */
  id: string;
  name: string;
  level: number;
  message: string;
  timestamp: Micros;
  task_run_id?: string;
  no_flow_run?: 1;
}

export const log_segment = sqliteTable(
  "log_segment",
  {
    workspace_id: workspaceId(),
    /** The flow run, or for a log without one its task run, or `''`. */
    run_id: uuid().notNull(),
    first_timestamp: micros().notNull(),
    /** A digest of the records: a repeated request finds its own row and changes nothing. */
    digest: uuid().notNull(),
    last_timestamp: micros().notNull(),
    min_level: integer().notNull(),
    max_level: integer().notNull(),
    /** How many records there are, so that a page deep in a run's logs need not open what lies before it. */
    record_count: integer().notNull(),
    /** JSON array of `LogRecord`s, in the order they came. */
    records: list<LogRecord>().notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspace_id, t.run_id, t.first_timestamp, t.digest] })],
);

/**
 * Which runs logged in a minute: the way to logs that are asked for without a run. A row for a run and minute, where an index
 * of the segments by time would have one for each segment. A segment lies within one minute.
 */
export const log_minute = sqliteTable(
  "log_minute",
  {
    workspace_id: workspaceId(),
    /** The time at which the minute begins. */
    minute: micros().notNull(),
    run_id: uuid().notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspace_id, t.minute, t.run_id] })],
);

/** How long the minutes of `log_minute` last. */
export const MINUTE: Micros = 60_000_000;

/** Gives the begin of the minute of a time. */
export function minuteOf(time: Micros): Micros {
  return Math.floor(time / MINUTE) * MINUTE;
}

/** Deletes the logs of runs. `runIds` is a list to be looked up in. */
export function deleteLogsOf(workspaceId: string, runIds: SQL): SQL[] {
  return [
    sql`delete from ${log_minute} where (workspace_id, minute, run_id) in (
      select workspace_id, first_timestamp - ((first_timestamp % ${MINUTE}) + ${MINUTE}) % ${MINUTE}, run_id
      from ${log_segment} where workspace_id = ${workspaceId} and run_id in ${runIds})`,
    sql`delete from ${log_segment} where workspace_id = ${workspaceId} and run_id in ${runIds}`,
  ];
}

/** Logs in segments: one row for each batch and run. */
import { type SQL, sql } from "drizzle-orm";
import { primaryKey, sqliteTable } from "drizzle-orm/sqlite-core";
import type { Micros } from "#lib/clock";
import { each } from "#db/sql";
import { integer, list, micros, text, uuid, workspaceId } from "#db/columns";

/** A log in its segment. Its flow run is the run of the segment, unless `no_flow_run` says that the log has none. */
export interface LogRecord {
  /** A UUIDv7. Its time is the time at which the log arrived. */
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
    /** The flow run. For a log without a flow run: its task run, or `''`. */
    run_id: uuid().notNull(),
    first_timestamp: micros().notNull(),
    /** A digest of the records. A repeated request finds its own row and changes nothing. */
    digest: uuid().notNull(),
    last_timestamp: micros().notNull(),
    min_level: integer().notNull(),
    max_level: integer().notNull(),
    /** The number of records, so that a page far back in a run's logs does not open the segments before it. */
    record_count: integer().notNull(),
    /** JSON array of `LogRecord`s, in the order of arrival. A packed column (`db/packed.ts`). */
    records: list<LogRecord>().notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspace_id, t.run_id, t.first_timestamp, t.digest] })],
);

/**
 * The runs that logged in a minute, for logs that are asked for without a run. One row per run and minute; an index of
 * the segments by time would have one row per segment. A segment never crosses the end of a minute.
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

/**
 * The logs that have moved to the archive: a row for each bundle, which has logs of many runs. A run is looked for in the
 * few bundles whose stretch of start times has the start of the run. No segment is in a bundle and in `log_segment`.
 */
export const log_archive = sqliteTable(
  "log_archive",
  {
    workspace_id: workspaceId(),
    /** The start times of the runs. A run that has ended has one, and it never changes. */
    first_start: micros().notNull(),
    /** The id of the bundle. */
    id: uuid().notNull(),
    last_start: micros().notNull(),
    /** When the last of the runs ended. */
    last_end: micros().notNull(),
    /** The address of the object (`archive/bundle.ts`). */
    key: text().notNull(),
    bytes: integer().notNull(),
    index_at: integer().notNull(),
    index_digest: text().notNull(),
    first_timestamp: micros().notNull(),
    last_timestamp: micros().notNull(),
    log_count: integer().notNull(),
    /** A BLOB: the 16 bytes of the id of each run. A run whose logs were written back to D1 is taken out. */
    runs: text().notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspace_id, t.first_start, t.id] })],
);

/** The runs whose logs were written back from the archive. They do not move again until a time. */
export const log_restored_run = sqliteTable(
  "log_restored_run",
  {
    workspace_id: workspaceId(),
    run_id: uuid().notNull(),
    until: micros().notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspace_id, t.run_id] })],
);

/** The length of a minute in `log_minute`. */
export const MINUTE: Micros = 60_000_000;

/** Returns the start of a time's minute. */
export function minuteOf(time: Micros): Micros {
  return Math.floor(time / MINUTE) * MINUTE;
}

/** The start of the minute of a column. SQLite rounds a division towards zero. */
const minuteOfColumn = (column: SQL) => sql`${column} - ((${column} % ${MINUTE}) + ${MINUTE}) % ${MINUTE}`;

/** Deletes the logs of runs. `runIds` is a list for a lookup. */
export function deleteLogsOf(workspaceId: string, runIds: SQL): SQL[] {
  return [
    sql`delete from ${log_minute} where (workspace_id, minute, run_id) in (
      select workspace_id, ${minuteOfColumn(sql`first_timestamp`)}, run_id
      from ${log_segment} where workspace_id = ${workspaceId} and run_id in ${runIds})`,
    sql`delete from ${log_segment} where workspace_id = ${workspaceId} and run_id in ${runIds}`,
  ];
}

/** Deletes segments. `condition` is about the run of a segment. */
export function deleteSegments(
  workspaceId: string,
  keys: readonly { run_id: string; first_timestamp: Micros; digest: string }[],
  condition: (runId: SQL) => SQL,
): SQL[] {
  const asked = each(keys.map(({ run_id, first_timestamp, digest }) => [run_id, first_timestamp, digest]));
  return [
    sql`delete from ${log_segment} where (workspace_id, run_id, first_timestamp, digest) in (
      select ${workspaceId}, value ->> 0, value ->> 1, value ->> 2 from ${asked}) and ${condition(sql`${log_segment.run_id}`)}`,
    sql`delete from ${log_minute} where (workspace_id, minute, run_id) in (
        select ${workspaceId}, ${minuteOfColumn(sql`(value ->> 1)`)}, value ->> 0 from ${asked})
      and not exists (select 1 from ${log_segment} s where s.workspace_id = ${workspaceId} and s.run_id = log_minute.run_id
        and s.first_timestamp >= log_minute.minute and s.first_timestamp < log_minute.minute + ${MINUTE})`,
  ];
}

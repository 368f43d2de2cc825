/** What the archive in R2 holds, and how it is written back. */
import { sql } from "drizzle-orm";
import type { SQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import * as z from "zod";
import type { Database } from "#db/database";
import { event_archive } from "#db/tables/event";
import { log_archive } from "#db/tables/log";
import { run_archive } from "#db/tables/run-archive";
import { restoreHour } from "#events/archived-restore";
import { unprocessable } from "#lib/api-error";
import { restoreRun } from "#resources/flow-runs/archived-restore";
import type { Tools } from "#tools";
import { Time } from "#wire/dates";
import { Uuid } from "#wire/ids";
import { namedObject, namedStrictObject } from "#wire/named";

const ArchivedData = namedObject("ArchivedData", {
  /** How many records there are, for example events. */
  rows: z.int(),
  /** How many objects R2 has, and their bytes. */
  objects: z.int(),
  bytes: z.int(),
});

/** What the objects hold whose addresses are in a database. */
export const ArchiveSize = namedObject("ArchiveSize", {
  size_bytes: z.int(),
  events: ArchivedData,
  logs: ArchivedData,
  runs: ArchivedData,
});
type ArchiveSize = z.output<typeof ArchiveSize>;

/** Counts the addresses in the database: one for each bundle, which is an hour of events or a part of it. */
export async function readArchiveSize(db: Database): Promise<ArchiveSize> {
  const sums = (table: SQLiteTable, records: SQLiteColumn) =>
    sql`select coalesce(sum(${records}), 0) as rows, count(*) as objects, coalesce(sum(bytes), 0) as bytes from ${table}`;
  const none = { rows: 0, objects: 0, bytes: 0 };
  const [events = none, logs = none, runs = none] = await db.rows<z.output<typeof ArchivedData>>(
    sql`${sums(event_archive, event_archive.event_count)} union all ${sums(log_archive, log_archive.log_count)}
      union all ${sums(run_archive, run_archive.run_count)}`,
  );
  return { size_bytes: events.bytes + logs.bytes + runs.bytes, events, logs, runs };
}

/** The body of a request to restore: any time of the hour, or the id of a flow run. */
export const RestoreRequest = namedStrictObject("RestoreRequest", { hour: Time.nullish(), run: Uuid.nullish() });

/** How many bundles of events, events, runs and logs were written back, and how many objects could not be read. */
export const RestoreResult = namedObject("RestoreResult", {
  bundles: z.int(),
  events: z.int(),
  runs: z.int(),
  logs: z.int(),
  unreadable: z.int(),
});

const NOTHING = { bundles: 0, events: 0, runs: 0, logs: 0, unreadable: 0 };

/**
 * Writes the events of an hour, or a run with its logs, back to D1, where they stay for a day. Throws 422 without an archive, and 404 for
 * a run that does not exist.
 */
export async function restore(tools: Tools, { hour, run }: z.output<typeof RestoreRequest>) {
  const { archive } = tools;
  if (archive === null) throw unprocessable("This server has no archive.");
  if (typeof hour === "number" && typeof run === "string") throw unprocessable("Give an hour or a run, not both.");
  if (typeof hour === "number") return { ...NOTHING, ...(await restoreHour({ ...tools, archive }, hour)) };
  if (typeof run === "string") return { ...NOTHING, ...(await restoreRun({ ...tools, archive }, run)) };
  throw unprocessable("Give an hour or a run.");
}

/** What the archive in R2 holds, and how it is written back. */
import { sql } from "drizzle-orm";
import * as z from "zod";
import type { Database } from "#db/database";
import { event_archive } from "#db/tables/event";
import { restoreHour } from "#events/archived-restore";
import { unprocessable } from "#lib/api-error";
import type { Tools } from "#tools";
import { Time } from "#wire/dates";
import { namedObject, namedStrictObject } from "#wire/named";

const ArchivedData = namedObject("ArchivedData", {
  /** How many records there are, for example events. */
  rows: z.int(),
  /** How many objects R2 has, and their bytes. */
  objects: z.int(),
  bytes: z.int(),
});

/** What the objects hold whose addresses are in a database. */
export const ArchiveSize = namedObject("ArchiveSize", { size_bytes: z.int(), events: ArchivedData });
type ArchiveSize = z.output<typeof ArchiveSize>;

/** Counts the addresses in the database: one for each bundle, which is an hour of events or a part of it. */
export async function readArchiveSize(db: Database): Promise<ArchiveSize> {
  const [events = { rows: 0, objects: 0, bytes: 0 }] = await db.rows<z.output<typeof ArchivedData>>(
    sql`select coalesce(sum(event_count), 0) as rows, count(*) as objects, coalesce(sum(bytes), 0) as bytes
      from ${event_archive}`,
  );
  return { size_bytes: events.bytes, events };
}

/** The body of a request to restore: any time of the hour. */
export const RestoreRequest = namedStrictObject("RestoreRequest", { hour: Time });

/** How many bundles and events were written back, and how many bundles could not be read. */
export const RestoreResult = namedObject("RestoreResult", {
  bundles: z.int(),
  events: z.int(),
  unreadable: z.int(),
});

/** Writes the events of an hour back to D1, where they stay for a day. Throws 422 without an archive. */
export function restore(tools: Tools, { hour }: z.output<typeof RestoreRequest>) {
  const { archive } = tools;
  if (archive === null) throw unprocessable("This server has no archive.");
  return restoreHour({ ...tools, archive }, hour);
}

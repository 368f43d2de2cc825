/** The ids of events that were written in the last minutes: a client may send such events again after a break. */
import { sql } from "drizzle-orm";
import type { Database } from "#db/database";
import { asList } from "#db/sql";
import { event_segment } from "#db/tables/event";
import { readSegment } from "#events/read-segment";
import { hourOf, type SegmentKey } from "#events/segments";
import { earliestId, type Micros } from "#lib/clock";

/** How far back the ids go; the object that keeps them in memory has the same bounds. */
const RECENT: Micros = 15 * 60 * 1_000_000;
const MAX_SEGMENTS = 200;
const MAX_EVENTS = 50_000;

/** Reads the ids of a workspace's recent events. */
export async function readRecentIds(db: Database, workspaceId: string, now: Micros): Promise<string[]> {
  const since = now - RECENT;
  const recent = sql`(
        select hour, id, events from ${event_segment}
        where workspace_id = ${workspaceId} and hour >= ${hourOf(since)} and id >= ${earliestId(since)}
        order by id desc limit ${MAX_SEGMENTS}
      )`;
  const [rows, unreadable] = await db.readAll([
    sql`select e.value->>'id' as id from ${recent} s, json_each(${asList(sql`s.events`)}) e
        limit ${MAX_EVENTS}`,
    sql`select s.hour as hour, s.id as id from ${recent} s where not json_valid(s.events)`,
  ]);
  const ids = (rows ?? []).flatMap(({ id }) => (typeof id === "string" ? id : []));
  for (const { hour, id } of unreadable ?? [])
    ids.push(...(await idsIn(db, workspaceId, { hour: Number(hour), id: String(id) })));
  return ids;
}

/** The ids in a segment that SQLite cannot read, as one that nests too deep for SQLite. */
async function idsIn(db: Database, workspaceId: string, { hour, id }: SegmentKey): Promise<string[]> {
  const rows = await db.rows<{ events: string }>(
    sql`select events from ${event_segment} where workspace_id = ${workspaceId} and hour = ${hour} and id = ${id}`,
  );
  return rows.flatMap(({ events }) => readSegment(id, events)).flatMap((event) => event?.id ?? []);
}

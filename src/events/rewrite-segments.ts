/** Rewrites stored segments: reads them as they are, and replaces one only if nobody has changed it meanwhile. */
import { type SQL, sql } from "drizzle-orm";
import { readJson } from "#db/database";
import { pack, type Packed, stored } from "#db/packed";
import { event_segment } from "#db/tables/event";
import { EVENTS, type SegmentKey, segmentsOf, sizeEntry } from "#events/segments";
import type { Tools } from "#tools";

/** A segment as it is stored. `form` and `octets` are the type and the size of its events in the row. */
export interface OpenedRow extends SegmentKey {
  counts: string;
  resources: string;
  events: Packed;
  form: "text" | "blob";
  octets: number;
}

/** New content of a segment. `counts` and `event_count` stay as they are if they are not given. */
interface Content {
  /** The JSON array of the events. */
  json: string;
  counts?: string;
  event_count?: number;
}

/** Reads segments that are to be rewritten. */
export function readForRewrite({ db, workspaceId }: Tools, keys: readonly SegmentKey[]): Promise<OpenedRow[]> {
  return db.rows<OpenedRow>(sql`select s.hour, s.id, s.counts, s.resources, ${EVENTS} as events,
      typeof(s.events) as form, octet_length(s.events) as octets
    from ${segmentsOf(workspaceId, keys)} order by k.key`);
}

/** The statement that replaces the content of a segment, unless the segment has changed since it was read. */
export function rewriteSegment(workspaceId: string, row: OpenedRow, content: Content, condition = sql`true`): SQL {
  const { json, counts = row.counts, event_count } = content;
  return sql`update ${event_segment} as s set
      events = ${stored(pack(json))}, resources = ${withSize(row.resources, json)}, counts = ${counts},
      event_count = ${event_count === undefined ? sql`s.event_count` : sql`${event_count}`}
    where s.workspace_id = ${workspaceId} and s.hour = ${row.hour} and s.id = ${row.id} and ${condition}
      and s.counts = ${row.counts} and typeof(s.events) = ${row.form} and octet_length(s.events) = ${row.octets}`;
}

/** The column `resources` with the size of the new events. Rows of before have no size. */
function withSize(resources: string, json: string): string {
  const entries = readJson<string[]>(resources);
  const isSized = /^\d+ bytes$/.test(entries[0] ?? "");
  return JSON.stringify([sizeEntry(json), ...entries.slice(isSized ? 1 : 0)]);
}

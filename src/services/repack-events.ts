/** Packs the segments of events that were written before segments were packed. */
import { sql } from "drizzle-orm";
import { pack } from "#db/packed";
import { event_segment } from "#db/tables/event";
import { type OpenedRow, readForRewrite, rewriteSegment } from "#events/rewrite-segments";
import { BYTES, type SizedKey } from "#events/segments";
import { chunksBySize } from "#lib/chunks";
import { type Page, type Place, takeRound } from "#services/retention-rounds";
import type { SweepTools, Tools } from "#tools";

/** How many segments one page looks at. */
const MAX_SEGMENTS = 200;
/** How many bytes of segments are in memory at once. */
const MAX_BYTES = 4_000_000;

/** One round over all segments, which is never repeated: afterwards a turn costs one row. */
export function repackEvents(tools: SweepTools): Promise<void> {
  return takeRound(tools, {
    name: "pack events",
    everySeconds: Infinity,
    items: MAX_SEGMENTS,
    table: event_segment,
    work: packPage,
  });
}

async function packPage(tools: Tools, { after, most }: Page): Promise<Place | null> {
  const limit = Math.max(1, most);
  const from = after ? sql`and (s.hour, s.id) > (${after.at}, ${after.id})` : sql``;
  const looked = await tools.db.rows<SizedKey & { isText: number }>(sql`
    select s.hour, s.id, ${BYTES} as bytes, typeof(s.events) = 'text' as isText from ${event_segment} s
    where s.workspace_id = ${tools.workspaceId} ${from} order by s.hour, s.id limit ${limit}`);
  const unpacked = most > 0 ? looked.filter(({ isText }) => isText) : [];
  for (const some of chunksBySize(unpacked, MAX_BYTES, ({ bytes }) => bytes)) {
    const rows = await readForRewrite(tools, some);
    const shrinking = rows.filter(isShrinking);
    await tools.db.batch(shrinking.map((row) => rewriteSegment(tools.workspaceId, row, { json: row.events })));
    // A timer lets the process handle its other requests.
    await scheduler.wait(1);
  }
  const last = looked.at(-1);
  return last && looked.length === limit ? { at: last.hour, id: last.id } : null;
}

/** Whether the events are a list that takes less room when it is packed. */
function isShrinking({ form, events }: OpenedRow): boolean {
  return form === "text" && events.startsWith("[") && pack(events) !== events;
}

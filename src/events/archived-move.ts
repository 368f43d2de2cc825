/** Moves segments from D1 to the archive: a bundle is written and checked, then one transaction replaces the segments. */
import { sql } from "drizzle-orm";
import { type BundleAddress, BundleBuilder } from "#archive/bundle";
import { eventsPrefix } from "#archive/keys";
import type { Archive } from "#archive/store";
import { each, insertRows } from "#db/sql";
import { event_archive, event_restored_hour, event_segment } from "#db/tables/event";
import { headerOfAll, type Part, PartMerger, readMoving } from "#events/archived-parts";
import { deletions } from "#events/delete-segments";
import { type OpenedRow, readForRewrite } from "#events/rewrite-segments";
import type { SizedKey } from "#events/segments";
import { chunksBySize } from "#lib/chunks";
import type { Micros } from "#lib/clock";
import { log } from "#lib/log";
import type { Tools } from "#tools";

/** How many bytes of segments are open at once. */
const MAX_OPEN_BYTES = 2_000_000;

/** A segment that is to move. */
export interface MovingKey extends SizedKey {
  first_occurred: Micros;
  event_count: number;
}

/** The tools of a move. */
export type MoveTools = Tools & { archive: Archive };

/**
 * Moves segments of one hour whose reports are recorded. A segment that is changed or moved by somebody else meanwhile stays, and
 * so do all others of its bundle. A segment that cannot be read exactly stays, too.
 */
export async function moveSegments(tools: MoveTools, segments: readonly MovingKey[]): Promise<void> {
  const made = await makeBundle(tools, segments);
  if (made === "full") {
    if (segments.length === 1) throw new RangeError(`no bundle has room for the segment ${segments[0]?.id}`);
    const middle = Math.ceil(segments.length / 2);
    await moveSegments(tools, segments.slice(0, middle));
    return moveSegments(tools, segments.slice(middle));
  }
  const { builder, headers, rows } = made;
  const [first] = rows;
  if (!first || builder.count === 0) return;
  const id = tools.ids.ordered(tools.clock());
  const address = await tools.archive.write(eventsPrefix(tools.workspaceId, first.hour), builder.build(id));
  const isMoved = await commit(tools, { hour: first.hour, id, address, header: headerOfAll(headers) }, rows);
  // If the outcome is unknown, `commit` throws, and a sweep removes the object if no row has its address.
  if (!isMoved) await tools.archive.delete([address.key]);
}

type ReadRow = Pick<OpenedRow, "hour" | "id" | "form" | "octets"> & { event_count: number };
type MadeBundle = { builder: BundleBuilder; headers: Part["header"][]; rows: ReadRow[] };

/** Reads segments by their first event, and makes a bundle of them. "full" if no bundle has room for them. */
async function makeBundle(tools: MoveTools, segments: readonly MovingKey[]): Promise<MadeBundle | "full"> {
  const made: MadeBundle = { builder: new BundleBuilder(), headers: [], rows: [] };
  const merger = new PartMerger();
  const counts = new Map(segments.map(({ id, event_count }) => [id, event_count]));
  const groups = chunksBySize(
    segments.toSorted((a, b) => a.first_occurred - b.first_occurred),
    MAX_OPEN_BYTES,
    ({ bytes }) => bytes,
  );
  for (const [index, group] of groups.entries()) {
    for (const row of await readForRewrite(tools, group)) {
      const { hour, id, form, octets } = row;
      const events = eventsOf(tools, row);
      if (events === null) continue;
      merger.add(events);
      made.rows.push({ hour, id, form, octets, event_count: counts.get(id) ?? 0 });
    }
    for (const { header, content } of merger.take(groups[index + 1]?.[0]?.first_occurred ?? Infinity)) {
      if (!made.builder.add(header, content)) return "full";
      made.headers.push(header);
    }
    // A timer lets the process handle its other requests.
    await scheduler.wait(1);
  }
  return made;
}

function eventsOf(tools: Tools, { id, events }: OpenedRow) {
  try {
    return readMoving(id, events);
  } catch (error) {
    log(tools, "error", "a segment cannot be read exactly and does not move", { segment_id: id, error });
    return null;
  }
}

interface Moving {
  hour: Micros;
  id: string;
  address: BundleAddress;
  header: ReturnType<typeof headerOfAll>;
}

/** Replaces the segments by the address of their bundle, if all of them are as they were read. Returns whether they were. */
async function commit(
  { db, workspaceId }: Tools,
  { hour, id, address, header }: Moving,
  rows: readonly ReadRow[],
): Promise<boolean> {
  const read = each(rows.map((row) => [row.id, row.form, row.octets, row.event_count]));
  const unchanged = sql`(select count(*) from ${read} k cross join ${event_segment} s
    on s.workspace_id = ${workspaceId} and s.hour = ${hour} and s.id = k.value->>0 and s.consumed = 1
      and typeof(s.events) = k.value->>1 and octet_length(s.events) = k.value->>2 and s.event_count = k.value->>3)`;
  const row = { ...header, ...address, workspace_id: workspaceId, hour, id };
  const counts = header.counts && JSON.stringify(header.counts);
  const isMoved = sql`exists (select 1 from ${event_archive} a
    where a.workspace_id = ${workspaceId} and a.hour = ${hour} and a.id = ${id})`;
  const results = await db.batch([
    insertRows(event_archive, [{ ...row, counts }], { guard: sql`${unchanged} = ${rows.length}` }),
    ...deletions(workspaceId, rows, isMoved),
    sql`delete from ${event_restored_hour} where workspace_id = ${workspaceId} and hour = ${hour} and ${isMoved}`,
  ]);
  return results[0]?.changes === 1;
}

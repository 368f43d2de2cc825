/** Removes events past their retention: whole hours of segments, and from younger segments the events with a shorter retention. */
import { type SQL, sql } from "drizzle-orm";
import { readJson } from "#db/database";
import { unpack } from "#db/packed";
import { event_segment } from "#db/tables/event";
import { deletions } from "#events/delete-segments";
import { firstSegmentAsked } from "#events/outbox";
import { type EventCutoff, storedSince } from "#events/retention";
import type { ReceivedEvent } from "#events/event";
import { type OpenedRow, readForRewrite, rewriteSegment } from "#events/rewrite-segments";
import { BYTES, hourOf, openSegment, type SegmentKey, type SizedKey } from "#events/segments";
import type { Micros } from "#lib/clock";
import { type Page, type Place, takeRound } from "#services/retention-rounds";
import type { SweepTools, Tools } from "#tools";
import { log } from "#lib/log";

/** How many pages a turn has. */
const PAGES = 40;
/** How many bytes of events one transaction changes. */
const MAX_BYTES = 8_000_000;

/**
 * Removes the segments of hours that are past their retention. Removes from the other segments the events with names
 * that have a shorter retention. A round works only on the hours before the hour of the cutoff. These hours are
 * completely past, so a segment is rewritten only once. Until the rewrite, its old events are stored but not shown.
 */
export async function removeOldEvents(tools: SweepTools): Promise<void> {
  const settings = tools.settings.services.db_vacuum;
  if (!settings.types.includes("events")) return;
  const cutoffAt = (time: Micros): EventCutoff => storedSince(tools, time);
  const common = { everySeconds: settings.loop_seconds, pages: PAGES, table: event_segment };
  const atOnce = (most: number) => Math.min(most, settings.batch_size);
  await takeRound(tools, {
    ...common,
    name: "events",
    hasWork: ({ begun }) => hasSegments(-9e18, hourOf(cutoffAt(begun).oldest)),
    async work(own, { begun, after, most }) {
      const needed = await firstSegmentAsked(own);
      return removeHours(own, { until: hourOf(cutoffAt(begun).oldest), after, needed, most: atOnce(most) });
    },
  });
  for (const name of cutoffAt(0).oldestByName.keys()) {
    const endAt = (time: Micros) => hourOf(cutoffAt(time).oldestByName.get(name) ?? 0);
    // The round before has worked on earlier hours. An event that arrives after that round is removed with its whole
    // hour. A round with another period has another name, and begins with the first hour.
    const from = (before: Micros | null) => (before === null ? -9e18 : endAt(before));
    await takeRound(tools, {
      ...common,
      name: `events ${name} after ${settings.event_retention_overrides[name]}`,
      hasWork: ({ begun, before }) => hasSegments(from(before), endAt(begun)),
      async work(own, { begun, before, after, most }) {
        const needed = await firstSegmentAsked(own);
        return takeOut(own, name, most, { from: from(before), until: endAt(begun), after, needed, most: atOnce(most) });
      },
    });
  }
}

function hasSegments(from: Micros, until: Micros): SQL {
  return sql`exists (select 1 from ${event_segment} s where s.workspace_id = w.id and s.hour >= ${from} and s.hour < ${until})`;
}

interface Stretch extends Pick<Page, "after"> {
  /** The first hour. */
  from?: Micros;
  /** The hour after the last one. */
  until: Micros;
  /** The first segment that the outbox may still read. */
  needed: string;
  /** How many segments one transaction changes at most. */
  most: number;
}

/** Segments that the consumer of the queue has recorded, or has given up permanently. */
const isConsumed = sql`s.consumed <> 0`;

async function removeHours(tools: Tools, stretch: Stretch): Promise<Place | null> {
  const limit = Math.max(1, stretch.most);
  const found = await tools.db.rows<SegmentKey>(selectSegments(tools.workspaceId, stretch, sql`0`, limit));
  if (stretch.most > 0)
    await tools.db.batch(deletions(tools.workspaceId, found, sql`${isConsumed} and s.id < ${stretch.needed}`));
  return placeAfter(found, found.length < limit);
}

async function takeOut(tools: Tools, name: string, lookedAt: number, stretch: Stretch): Promise<Place | null> {
  const limit = Math.max(1, lookedAt);
  const holds = sql`iif(instr(s.counts, ${`${JSON.stringify(name)}:`}) > 0 and ${isConsumed}, ${BYTES}, 0)`;
  const looked = await tools.db.rows<SizedKey>(
    selectSegments(tools.workspaceId, stretch, stretch.most > 0 ? holds : sql`0`, limit),
  );
  const done = firstOf(looked, stretch.most);
  const holding = done.filter(({ bytes }) => bytes > 0);
  const isEmptied = sql`s.event_count = 0 and ${isConsumed} and s.id < ${stretch.needed}`;
  if (holding.length > 0) {
    await tools.db.batch([
      ...(await withoutName(tools, holding, name)),
      ...deletions(tools.workspaceId, holding, isEmptied),
    ]);
  }
  return placeAfter(done, done.length === looked.length && looked.length < limit);
}

/** The first segments: as many as one transaction may change, and at least one. */
function firstOf<T extends { bytes: number }>(looked: readonly T[], most: number): T[] {
  let holding = 0;
  let bytes = 0;
  const end = looked.findIndex((segment, index) => {
    holding += segment.bytes > 0 ? 1 : 0;
    bytes += segment.bytes;
    return index > 0 && (holding > most || bytes > MAX_BYTES);
  });
  return looked.slice(0, end < 0 ? looked.length : end);
}

function placeAfter(done: readonly SegmentKey[], isEnd: boolean): Place | null {
  const last = done.at(-1);
  return last && !isEnd ? { at: last.hour, id: last.id } : null;
}

/** The next segments of some hours, by their key. */
function selectSegments(workspaceId: string, { from, until, after }: Stretch, bytes: SQL, most: number): SQL {
  const first = after ? sql`(s.hour, s.id) > (${after.at}, ${after.id})` : sql`s.hour >= ${from ?? -9e18}`;
  return sql`select s.hour, s.id, ${bytes} as bytes from ${event_segment} s
    where s.workspace_id = ${workspaceId} and ${first} and s.hour < ${until} order by s.hour, s.id limit ${most}`;
}

/**
 * The statements that remove the events with a name from segments. The ids by which the outbox knows the sent events
 * stay. The first and the last time also stay, because readers use them as bounds.
 */
async function withoutName(tools: Tools, keys: readonly SegmentKey[], name: string): Promise<SQL[]> {
  const rows = await readForRewrite(tools, keys);
  return rows.flatMap((row) => withoutNameIn(tools, row, name));
}

function withoutNameIn(tools: Tools, row: OpenedRow, name: string): SQL[] {
  try {
    const { events, isTooDeep } = openSegment(unpack(row.events));
    if (!Array.isArray(events) || isTooDeep) throw new TypeError("the events cannot be printed exactly");
    const left = (events as ReceivedEvent[]).filter(({ event }) => event !== name);
    const counts = readJson<Record<string, number>>(row.counts);
    const others = Object.fromEntries(Object.entries(counts).filter(([other]) => other !== name));
    const changed = { json: JSON.stringify(left), counts: JSON.stringify(others), event_count: left.length };
    return [rewriteSegment(tools.workspaceId, row, changed, isConsumed)];
  } catch (error) {
    const found = { segment_id: row.id, error };
    log(tools, "error", "events of a segment cannot be taken out and stay until their hour goes", found);
    return [];
  }
}

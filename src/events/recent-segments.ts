/** The memory of the object that writes a workspace's segments: the newest segments, and the ids of their events. */
import { sql } from "drizzle-orm";
import { type Database, readJson } from "#db/database";
import { earliestId, type Micros, SECOND } from "#lib/clock";
import { event_segment } from "#db/tables/event";
import { type EventFilter, matchesName, type Window } from "#events/filter";
import type { Header } from "#events/archived-headers";
import { CLOSED_SEGMENT, type ClosedSegment, readSegment } from "#events/read-segment";
import { BYTES, countByName, hourOf, keyOf, type Segment, segmentsOf, type SizedKey } from "#events/segments";
import { chunksBySize } from "#lib/chunks";

/** How long a segment is remembered after its last event occurred. */
const KEPT: Micros = 120 * SECOND;
/** How long a write may still arrive in D1 after the object that sent it has ended. D1 ends a statement after 30 seconds. */
const LATE_WRITE: Micros = 30 * SECOND;
/** How many segments are remembered. The object writes at most ten per second. */
const MAX_SEGMENTS = 3_000;
/** How many characters of JSON the names of a segment's events may have in total. Longer lists of names are not remembered. */
const MAX_NAMES = 2_000;

interface Remembered extends Omit<Header, "fits"> {
  /** The names of the segment's events; null if they are too long. Then the segment has to be opened. */
  names: readonly string[] | null;
}

/**
 * The segments that one object has written in the last two minutes. Each client that begins to listen asks for the
 * events of the last minute. To find them, D1 would read a row for each segment of the hour.
 */
export class RecentSegments {
  private readonly segments = new Map<string, Remembered>();
  /** Since when every written segment is remembered. */
  private began: Micros;
  /** After the older segments were read, every segment with an event that occurred from this time on is remembered. */
  private since: Micros;
  /** Reads the segments that were written before `began` and that have events from `since` on. */
  private older: Promise<void> | undefined;

  constructor(now: Micros) {
    this.began = now;
    this.since = now - KEPT;
  }

  /** Remembers segments that are being written, and forgets old ones. */
  add(segments: readonly Segment[], now: Micros): void {
    for (const segment of segments) this.segments.set(segment.id, remembered(segment));
    this.since = Math.max(this.since, now - KEPT);
    for (const [id, { last_occurred }] of this.segments) if (last_occurred < this.since) this.segments.delete(id);
    if (this.segments.size > MAX_SEGMENTS) this.restart(now);
  }

  /** Forgets everything, for example after a write with an unknown outcome. */
  restart(now: Micros): void {
    this.segments.clear();
    this.began = now;
    this.since = now - KEPT;
    this.older = undefined;
  }

  /** The segments that may have events of the window, in the filter's order; undefined if not all of them are remembered. */
  async inWindow(
    db: Database,
    workspaceId: string,
    { filter, window: { since, until } }: { filter: EventFilter; window: Window },
    now: Micros,
  ): Promise<Header[] | undefined> {
    if (since < this.since || (since < this.began && now < this.began + LATE_WRITE)) return undefined;
    await (this.older ??= this.readOlder(db, workspaceId));
    if (since < this.since) return undefined;
    const isNewestFirst = filter.order === "DESC";
    const occurredIn = (one: Header) => (isNewestFirst ? one.last_occurred : one.first_occurred);
    const sorted = [...this.segments.values()]
      .filter(({ first_occurred, last_occurred }) => last_occurred >= since && first_occurred <= until)
      .map(({ names, ...header }) => ({
        ...header,
        fits: names?.some((name) => matchesName(filter, name)) === false ? 0 : 1,
      }))
      .toSorted((a, b) => a.hour - b.hour || occurredIn(a) - occurredIn(b) || (a.id < b.id ? -1 : 1));
    return isNewestFirst ? sorted.toReversed() : sorted;
  }

  private async readOlder(db: Database, workspaceId: string): Promise<void> {
    const began = this.since;
    try {
      const rows = await db.rows<Omit<Header, "fits"> & { counts: string | null }>(sql`
        select s.hour, s.id, s.first_occurred, s.last_occurred, ${BYTES} as bytes,
          iif(octet_length(s.counts) > ${MAX_NAMES}, null, s.counts) as counts
        from ${event_segment} s
        where s.workspace_id = ${workspaceId} and s.hour >= ${hourOf(began)} and s.last_occurred >= ${began}
        limit ${MAX_SEGMENTS}`);
      // There are too many older segments to remember. D1 is read until the object forgets everything and begins again.
      if (rows.length === MAX_SEGMENTS) this.since = Infinity;
      for (const { counts, ...header } of rows) {
        const names = counts === null ? null : Object.keys(readJson<Record<string, number>>(counts));
        this.segments.set(header.id, { ...header, names });
      }
    } catch (error) {
      this.older = undefined;
      throw error;
    }
  }
}

function remembered(segment: Segment): Remembered {
  const { hour, events } = segment;
  const names = Object.keys(countByName(segment));
  return {
    ...keyOf(segment),
    first_occurred: events[0]?.occurred ?? hour,
    last_occurred: events.at(-1)?.occurred ?? hour,
    names: JSON.stringify(names).length > MAX_NAMES ? null : names,
  };
}

/** How old the recent ids are at most, and how many ids there are. The object that remembers them has the same bounds. */
const IDS_KEPT: Micros = 15 * 60 * SECOND;
const MAX_IDS = 50_000;
/** How many segments are searched for recent ids. */
const MAX_SEARCHED = 200;
/** How many bytes of segments are open at once. */
const MAX_OPEN_BYTES = 4_000_000;

/** Reads the ids of the events that a workspace wrote in the last 15 minutes. A client may send such events again after a break. */
export async function readRecentIds(db: Database, workspaceId: string, now: Micros): Promise<string[]> {
  const since = now - IDS_KEPT;
  const recent = await db.rows<SizedKey>(sql`
    select s.hour, s.id, ${BYTES} as bytes from ${event_segment} s
    where s.workspace_id = ${workspaceId} and s.hour >= ${hourOf(since)} and s.id >= ${earliestId(since)}
    order by s.id desc limit ${MAX_SEARCHED}`);
  const ids: string[] = [];
  for (const keys of chunksBySize(recent, MAX_OPEN_BYTES, ({ bytes }) => bytes)) {
    if (ids.length >= MAX_IDS) break;
    const rows = await db.rows<ClosedSegment>(
      sql`select ${CLOSED_SEGMENT} from ${segmentsOf(workspaceId, keys)} order by k.key`,
    );
    for (const row of rows) ids.push(...readSegment(row).map((event) => event.id));
  }
  return ids.slice(0, MAX_IDS);
}

/** Goes through a workspace's segments and returns the wanted events in them. A bounded number of segments is open at once. */
import { type SQL, sql } from "drizzle-orm";
import type { Database } from "#db/database";
import type { Packed } from "#db/packed";
import { WorkspaceStore } from "#db/workspace-store";
import { event_segment } from "#db/tables/event";
import type { ReceivedEvent } from "#events/event";
import { type EventFilter, matchesEvent, type Window } from "#events/filter";
import { type EventCutoff, isKept, NO_CUTOFF } from "#events/retention";
import { hasNames, hasTexts, mayHoldResources, wasWrittenNear } from "#events/segment-conditions";
import { BYTES, EVENTS, hourOf, readSegment, segmentsOf, type SizedKey } from "#events/segments";
import { unprocessable } from "#lib/api-error";
import { chunksBySize } from "#lib/chunks";
import type { Micros } from "#lib/clock";
import { parseTime } from "#wire/dates";

/** How many bytes of segments are open at once. */
const MAX_OPEN_BYTES = 2_000_000;
/** How many bytes are opened first, because most events of a page are in the newest segments. */
const MIN_OPEN_BYTES = 200_000;
/** How many segments' keys one read returns. */
const MAX_KEYS = 1_000;
/** How many segments are read for one answer, and how many bytes of them are opened. */
const MAX_SEGMENTS_LOOKED_AT = 50_000;
const MAX_BYTES_OPENED = 200_000_000;

/** An event, with the time at which it occurred as a number. */
export interface Found {
  event: ReceivedEvent;
  occurred: Micros;
}

/** What is known about a segment that is not open. */
export interface Header extends SizedKey {
  first_occurred: Micros;
  last_occurred: Micros;
  /** Whether the segment has an event with a wanted name. */
  fits: number;
}

/** How segments are read one after another. */
interface Walk {
  /** Takes the wanted events of a segment. */
  take: (events: Found[]) => void;
  /** Whether the caller needs neither this segment nor the segments after it. */
  isEnough?: (next: Header) => boolean;
  /** Takes all events of each opened segment, wanted or not. */
  look?: (events: readonly ReceivedEvent[]) => void;
  /** One more condition on a segment `s`. */
  more?: SQL;
  /** The segments to read, if the caller knows them. They meet `more`. */
  known?: readonly Header[] | undefined;
}

/** The segments of one workspace. */
export class SegmentReader extends WorkspaceStore {
  readonly cutoff: EventCutoff;

  constructor(db: Database, workspaceId: string, cutoff: EventCutoff = NO_CUTOFF) {
    super({ db, workspaceId });
    this.cutoff = cutoff;
  }

  /** The part of a window that is not past the retention. */
  kept({ since, until }: Window): Window {
    return { since: Math.max(since, this.cutoff.oldest), until };
  }

  /** A condition on a segment `s`: it may have events that occurred in the window. */
  inWindow({ since, until }: Window): SQL {
    return sql`s.workspace_id = ${this.workspaceId} and s.hour between ${hourOf(since)} and ${hourOf(until)}
      and s.last_occurred >= ${since} and s.first_occurred <= ${until}`;
  }

  /**
   * Opens segments in the filter's order until the caller has enough. Returns the first segment that was not read, or
   * null if the rest is not needed. If the filter names ids, most events are in the segments that were written near the
   * times in these ids, so those segments come first. Throws 422 if these segments alone are too many.
   */
  async walk(filter: EventFilter, asked: Window, walk: Walk): Promise<Header | null> {
    const ids = filter.id?.id;
    if (!ids?.length) return this.walkAll(filter, asked, walk);
    const near = wasWrittenNear(this.workspaceId, ids);
    const missing = new Set(ids);
    const look = (events: readonly ReceivedEvent[]) => events.forEach(({ id }) => missing.delete(id));
    const { take, more = sql`true` } = walk;
    if (near && (await this.walkAll(filter, asked, { take, look, more: sql`${near} and ${more}` }))) throw tooMuch();
    if (missing.size === 0) return null;
    const rest = { ...filter, id: { id: [...missing] } };
    return this.walkAll(rest, asked, near ? { ...walk, more: sql`not ${near} and ${more}` } : walk);
  }

  private async walkAll(filter: EventFilter, asked: Window, walk: Walk): Promise<Header | null> {
    const window = this.kept(asked);
    const { known, more = sql`true` } = walk;
    const candidates = known ? sql`true` : await mayHoldResources(this, filter, window);
    const condition = sql`${this.inWindow(window)} and ${candidates} and ${more}`;
    let lookedAt = 0;
    let opened = 0;
    for (let last: Header | undefined; ;) {
      const headers = known ? inWindow(known, window) : await this.headers(filter, condition, last);
      last = headers.at(-1);
      const fitting = headers.filter(({ fits }) => fits);
      for (let next = 0, bytes = MIN_OPEN_BYTES; next < fitting.length; bytes *= 4) {
        const first = fitting[next];
        if (!first || walk.isEnough?.(first)) return null;
        if (opened > MAX_BYTES_OPENED) return first;
        const [open = []] = chunksBySize(fitting.slice(next), Math.min(bytes, MAX_OPEN_BYTES), (one) => one.bytes);
        for (const events of await this.open(filter, open)) {
          walk.look?.(events);
          walk.take(this.wantedOf(filter, window, events));
        }
        // A timer lets the process handle its other requests. Waiting for an answer of the database does not.
        await scheduler.wait(1);
        next += open.length;
        opened += open.reduce((sum, header) => sum + header.bytes, 0);
      }
      if (known || headers.length < MAX_KEYS || !last) return null;
      lookedAt += headers.length;
      if (lookedAt >= MAX_SEGMENTS_LOOKED_AT) return walk.isEnough?.(last) ? null : last;
    }
  }

  /** The segments after `last`, in the filter's order. */
  private headers(filter: EventFilter, condition: SQL, last: Header | undefined): Promise<Header[]> {
    const isNewestFirst = filter.order === "DESC";
    const time = isNewestFirst ? "last_occurred" : "first_occurred";
    const place = sql.raw(`s.hour, s.${time}, s.id`);
    const sorted = isNewestFirst ? sql`s.hour desc, s.last_occurred desc, s.id desc` : place;
    const beyond = last
      ? sql`(${place}) ${isNewestFirst ? sql`<` : sql`>`} (${last.hour}, ${last[time]}, ${last.id})`
      : sql`true`;
    return this.db.rows<Header>(sql`
      select s.hour, s.id, s.first_occurred, s.last_occurred, ${BYTES} as bytes,
        ${hasNames(filter)} as fits
      from ${event_segment} s where ${condition} and ${beyond} order by ${sorted} limit ${MAX_KEYS}`);
  }

  private async open(filter: EventFilter, headers: readonly Header[]): Promise<ReceivedEvent[][]> {
    const rows = await this.db.rows<{ id: string; events: Packed }>(
      sql`select s.id, ${EVENTS} as events from ${segmentsOf(this.workspaceId, headers)} order by k.key`,
    );
    const mayHold = hasTexts(filter);
    return rows.map(({ id, events }) => readSegment(id, events, mayHold));
  }

  private wantedOf(filter: EventFilter, window: Window, events: readonly ReceivedEvent[]): Found[] {
    return events.flatMap((event) => {
      const occurred = parseTime(event.occurred);
      if (occurred === undefined || occurred < window.since || occurred > window.until) return [];
      return isKept(this.cutoff, event.event, occurred) && matchesEvent(filter, event) ? { event, occurred } : [];
    });
  }
}

function inWindow(headers: readonly Header[], { since, until }: Window): Header[] {
  return headers.filter(({ first_occurred, last_occurred }) => last_occurred >= since && first_occurred <= until);
}

/** The refusal (422) of a filter that needs too many segments. */
export function tooMuch() {
  return unprocessable(
    `The filter leads through more than ${MAX_SEGMENTS_LOOKED_AT} batches or ${MAX_BYTES_OPENED / 1_000_000} MB of events. ` +
      "Please narrow it by time, by name or by resource.",
  );
}

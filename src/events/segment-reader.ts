/** Goes through a workspace's segments, in D1 and in the archive, and returns the wanted events in them. */
import { sql } from "drizzle-orm";
import { ArchiveUnreachable } from "#archive/bucket";
import type { Archive } from "#archive/store";
import type { Database } from "#db/database";
import { WorkspaceStore } from "#db/workspace-store";
import { Moved } from "#events/archived-bundles";
import { type Header, Headers, isUnread, MAX_HEADERS } from "#events/archived-headers";
import type { PartHeader } from "#events/archived-parts";
import type { ReceivedEvent } from "#events/event";
import { type EventFilter, matchesEvent, type Window } from "#events/filter";
import { CLOSED_SEGMENT, type ClosedSegment, readSegment } from "#events/read-segment";
import { type EventCutoff, isKept, NO_CUTOFF } from "#events/retention";
import {
  all,
  ANY,
  type Condition,
  mayHoldNames,
  mayHoldResources,
  occurredIn,
  writtenNear,
} from "#events/segment-conditions";
import { holdsTexts } from "#events/segment-texts";
import { segmentsOf } from "#events/segments";
import { unprocessable } from "#lib/api-error";
import type { Micros } from "#lib/clock";
import { Work } from "#lib/work";
import { parseTime } from "#wire/dates";

/** How many bytes of segments are open at once. */
const MAX_OPEN_BYTES = 2_000_000;
/** How many bytes are opened first, because most events of a page are in the newest segments. */
const MIN_OPEN_BYTES = 200_000;
/** How many bytes of JSON are fetched from the archive at once. They are about a tenth of it, and are opened one part after the other. */
const MAX_FETCHED_BYTES = 16_000_000;
/** How many bytes of segments are opened for one answer. */
const MAX_BYTES_OPENED = 200_000_000;
/** How many bytes are unpacked and searched in the time in which one byte is unpacked and parsed. */
const SEARCHED_PER_PARSED = 6;
/** How often one answer begins again with an hour whose events move while they are read. */
const MAX_RESTARTS = 100;

/** An event, with the time at which it occurred as a number. */
export interface Found {
  event: ReceivedEvent;
  occurred: Micros;
}

/** The first segment that was not read. */
export interface Stop extends Header {
  /** Whether the answer needs the archive. */
  isArchived: boolean;
}

/** How segments are read one after another. All functions may be called again for the same events. */
interface Walk {
  /** Takes the wanted events of a segment. */
  take: (events: Found[]) => void;
  /** Whether the caller needs neither this segment nor the segments after it. */
  isEnough?: (next: Header) => boolean;
  /** Takes all events that have one of the filter's ids, wanted or not, and maybe others. */
  look?: (events: readonly ReceivedEvent[]) => void;
  /** One more condition. */
  more?: Condition;
  /** The segments to read, if the caller knows them. They meet `more`. Segments that are gone are passed over. */
  known?: readonly Header[] | undefined;
  /** The same, but `Moved` is thrown if a segment is gone. */
  snapshot?: readonly Header[] | undefined;
  /** Takes a part of the archive by its header alone. False if the part has to be opened. */
  takeHeader?: (part: PartHeader, hour: Micros) => boolean;
}

/** The segments of one workspace. */
export class SegmentReader extends WorkspaceStore {
  readonly cutoff: EventCutoff;
  /** Null if there is no archive. */
  protected readonly archive: Archive | null;

  constructor(db: Database, workspaceId: string, cutoff: EventCutoff = NO_CUTOFF, archive: Archive | null = null) {
    super({ db, workspaceId });
    this.cutoff = cutoff;
    this.archive = archive;
  }

  /** The part of a window that is not past the retention. */
  kept({ since, until }: Window): Window {
    return { since: Math.max(since, this.cutoff.oldest), until };
  }

  /**
   * Opens segments in the filter's order until the caller has enough. Returns the first segment that was not read, or
   * null if the rest is not needed. If the filter names ids, most events are in the segments that were written near the
   * times in these ids, so those segments come first. Throws 422 if these segments alone are too many.
   */
  async walk(filter: EventFilter, asked: Window, walk: Walk): Promise<Stop | null> {
    const ids = filter.id?.id;
    if (!ids?.length) return this.walkAll(filter, asked, walk);
    const written = writtenNear(this.workspaceId, ids);
    const missing = new Set(ids);
    const look = (events: readonly ReceivedEvent[]) => events.forEach(({ id }) => missing.delete(id));
    const { take, more = ANY } = walk;
    if (written) {
      const stop = await this.walkAll(filter, asked, { take, look, more: all([written.near, more]) });
      if (stop?.isArchived) return this.walkAll(filter, asked, walk);
      if (stop) throw tooMuch();
    }
    if (missing.size === 0) return null;
    const rest = { ...filter, id: { id: [...missing] } };
    return this.walkAll(rest, asked, written ? { ...walk, more: all([written.far, more]) } : walk);
  }

  private async walkAll(filter: EventFilter, asked: Window, walk: Walk): Promise<Stop | null> {
    const window = this.kept(asked);
    const headers = await this.headersOf(filter, window, walk);
    // The caller looks at all events with the wanted ids, and at no others.
    const holds = holdsTexts(walk.look ? { id: filter.id, order: filter.order } : filter);
    const work = new Work();
    let opened = 0;
    let most = MIN_OPEN_BYTES;
    for (let restarts = 0; ;) {
      const next = await headers.first();
      if (!next || walk.isEnough?.(next.header)) return null;
      const { header, isSpent } = next;
      if (isSpent || opened > MAX_BYTES_OPENED)
        return { ...header, isArchived: headers.hasReadArchive || header.bundle !== undefined };
      try {
        if (isUnread(header)) await headers.openBundles();
        else {
          const group = headers.take(Math.min(most, header.bundle ? MAX_FETCHED_BYTES : MAX_OPEN_BYTES));
          most *= 4;
          opened += group.reduce((sum, { bytes }) => sum + bytes, 0);
          for await (const segment of this.read(headers, group, walk.known !== undefined)) {
            const events = readSegment(segment, holds);
            walk.look?.(events);
            walk.take(this.wantedOf(filter, window, events));
            await work.add(events.length > 0 ? segment.bytes : segment.bytes / SEARCHED_PER_PARSED);
          }
        }
      } catch (error) {
        if (!(error instanceof Moved) || walk.snapshot) throw error;
        if (++restarts > MAX_RESTARTS) throw new ArchiveUnreachable(error);
        headers.restartAt(header.hour);
      }
    }
  }

  private async headersOf(filter: EventFilter, window: Window, walk: Walk): Promise<Headers> {
    const { more = ANY, takeHeader } = walk;
    const known = walk.snapshot ?? walk.known?.filter((header) => header.fits && overlaps(header, window));
    const candidates = known ? ANY : await mayHoldResources(this, filter, window);
    return new Headers(this, this.archive, {
      order: filter.order,
      condition: all([occurredIn(this.workspaceId, window), candidates, more]),
      names: mayHoldNames(filter),
      known,
      takeHeader,
    });
  }

  /** Reads closed segments one after the other. */
  private async *read(headers: Headers, group: readonly Header[], mayBeGone: boolean): AsyncGenerator<ClosedSegment> {
    const [first] = group;
    if (first?.bundle) {
      const entries = group.flatMap(({ entry }) => entry ?? []);
      if (headers.bundles) yield* headers.bundles.partsOf(first.bundle, entries);
      return;
    }
    const rows = await this.db.rows<ClosedSegment>(
      sql`select ${CLOSED_SEGMENT} from ${segmentsOf(this.workspaceId, group)} order by k.key`,
    );
    if (headers.bundles && !mayBeGone && rows.length < group.length) throw new Moved();
    yield* rows;
  }

  private wantedOf(filter: EventFilter, window: Window, events: readonly ReceivedEvent[]): Found[] {
    return events.flatMap((event) => {
      const occurred = parseTime(event.occurred);
      if (occurred === undefined || occurred < window.since || occurred > window.until) return [];
      return isKept(this.cutoff, event.event, occurred) && matchesEvent(filter, event) ? { event, occurred } : [];
    });
  }
}

function overlaps({ first_occurred, last_occurred }: Header, { since, until }: Window): boolean {
  return last_occurred >= since && first_occurred <= until;
}

/** The refusal (422) of a filter that needs too many segments. */
export function tooMuch() {
  return unprocessable(
    `The filter leads through more than ${MAX_HEADERS} batches or ${MAX_BYTES_OPENED / 1_000_000} MB of events. ` +
      "Please narrow it by time, by name or by resource.",
  );
}

/** Reads a workspace's stored events: pages, totals and counts. */
import { type SQL, sql } from "drizzle-orm";
import type { Database } from "#db/database";
import { countByHour } from "#events/count-by-hour";
import { resourceId } from "#events/event";
import type { EventFilter, Window } from "#events/filter";
import { type EventQuery, type EventsPage, Page } from "#events/page";
import { type EventCutoff, NO_CUTOFF } from "#events/retention";
import { type Found, once, SegmentReader, tooMuch } from "#events/segment-reader";
import { earliestId, type Micros } from "#lib/clock";

/** How many events meet a filter. `isWhole` is false where not all segments were looked at: then `total` is the least number. */
interface EventTotal {
  total: number;
  isWhole: boolean;
}

/** The stored events of one workspace that are not older than their retention. */
export class EventReader {
  private readonly segments: SegmentReader;

  constructor(db: Database, workspaceId: string, cutoff: EventCutoff = NO_CUTOFF) {
    this.segments = new SegmentReader(db, workspaceId, cutoff);
  }

  /**
   * Gives a page of events in the filter's order. Only the segments that the page needs are opened. Where the page needs more
   * than one answer may open, the page has fewer events and says where the next one begins. Throws 422 where the next page
   * would begin at the same place.
   */
  async page(query: EventQuery): Promise<EventsPage> {
    if (query.limit === 0) return { found: [], next: null };
    const page = new Page(query);
    const isDistinct = query.filter.resource?.distinct ?? false;
    const stop = await this.segments.walk(query.filter, isDistinct ? query.window : remainder(query), {
      take: (events) => page.take(events),
      isEnough: (next) => page.isSettledBy(next),
      more: writtenSince(query.writtenSince ?? null),
      known: query.known,
    });
    if (stop && isDistinct) throw tooMuch();
    const { found, next } = page.read(stop);
    if (next && next.occurred === query.after?.occurred && next.id === query.after.id) throw tooMuch();
    return { found, next };
  }

  /**
   * Gives the first page, and how many events there are in all. For names and times the segments' own counts give the total.
   * For any other filter all segments are opened once, for the page and the total.
   */
  async firstPage(query: Omit<EventQuery, "after">): Promise<EventsPage & EventTotal> {
    const { filter, window } = query;
    const hours = await this.countByHour(query);
    if (hours) {
      const total = hours.values().reduce((sum, count) => sum + count, 0);
      return { ...(await this.page({ ...query, after: null })), total, isWhole: true };
    }
    const isDistinct = filter.resource?.distinct ?? false;
    const page = new Page({ ...query, after: null });
    const ids = new Set<string>();
    const take = (events: Found[]) => {
      page.take(events);
      for (const { event } of events) ids.add(isDistinct ? resourceId(event.resource) : event.id);
    };
    const stop = await this.segments.walk(filter, window, { take });
    if (stop && isDistinct) throw tooMuch();
    return { ...page.read(stop), total: ids.size, isWhole: stop === null };
  }

  /** Shows each event that meets the filter once. Throws 422 where the segments are too many. */
  async each(filter: EventFilter, window: Window, visit: (found: Found) => void): Promise<void> {
    if (await this.segments.walk(filter, window, { take: once(visit) })) throw tooMuch();
  }

  /** Gives how many events occurred in each hour, or undefined where the filter asks for more than names and times. */
  countByHour({ filter, window }: Pick<EventQuery, "filter" | "window">): Promise<Map<Micros, number> | undefined> {
    return countByHour(this.segments, filter, window);
  }
}

/** The window from the cursor on. */
function remainder({ filter, window, after }: EventQuery): Window {
  if (!after) return window;
  return filter.order === "DESC" ? { ...window, until: after.occurred } : { ...window, since: after.occurred };
}

function writtenSince(time: Micros | null): SQL {
  return time === null ? sql`true` : sql`s.id >= ${earliestId(time)}`;
}

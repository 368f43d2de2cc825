/** Reads a workspace's stored events: pages, totals and counts. */
import { type SQL, sql } from "drizzle-orm";
import { asObject, each } from "#db/sql";
import { event_segment } from "#db/tables/event";
import { resourceId } from "#events/event";
import { type EventFilter, listOf, matchesName, type Window } from "#events/filter";
import { earliestId, type Micros } from "#lib/clock";
import { type EventQuery, type EventsPage, Page } from "#events/page";
import type { EventCutoff } from "#events/retention";
import { type Found, SegmentReader, tooMuch } from "#events/segment-reader";
import { hourOf } from "#events/segments";

/** How many events match a filter. If `isWhole` is false, not all segments were read, and there are at least `total` events. */
interface EventTotal {
  total: number;
  isWhole: boolean;
}

/** The stored events of one workspace that are not past their retention. */
export class EventReader extends SegmentReader {
  /**
   * Returns a page of events in the filter's order. Opens only the segments that the page needs. If the page needs more
   * segments than one answer may open, the page has fewer events and says where the next page begins. Throws 422 if the
   * next page would begin at the same place.
   */
  async page(query: EventQuery): Promise<EventsPage> {
    if (query.limit === 0) return { found: [], next: null };
    const page = new Page(query);
    const stop = await this.walk(query.filter, page.isDistinct ? query.window : remainder(query), {
      take: (events) => page.take(events),
      isEnough: (next) => page.isSettledBy(next),
      more: writtenSince(query.writtenSince ?? null),
      known: query.known,
    });
    if (stop && page.isDistinct) throw tooMuch();
    const { found, next } = page.read(stop);
    if (next && next.occurred === query.after?.occurred && next.id === query.after.id) throw tooMuch();
    return { found, next };
  }

  /**
   * Returns the first page, and the total number of events. If the filter has only names and times, the counts in the
   * segments give the total. For any other filter, all segments are opened once, for the page and the total.
   */
  async firstPage(query: Omit<EventQuery, "after">): Promise<EventsPage & EventTotal> {
    const first = { ...query, after: null };
    const hours = await this.countByHour(query);
    if (hours) {
      const total = hours.values().reduce((sum, count) => sum + count, 0);
      return { ...(await this.page(first)), total, isWhole: true };
    }
    const page = new Page(first);
    const ids = new Set<string>();
    const take = (events: Found[]) => {
      page.take(events);
      for (const { event } of events) ids.add(page.isDistinct ? resourceId(event.resource) : event.id);
    };
    const stop = await this.walk(query.filter, query.window, { take });
    if (stop && page.isDistinct) throw tooMuch();
    return { ...page.read(stop), total: ids.size, isWhole: stop === null };
  }

  /** Visits each event that matches the filter once, even if it is in two segments. Throws 422 if there are too many segments. */
  async each(filter: EventFilter, window: Window, visit: (found: Found) => void, more = sql`true`): Promise<void> {
    const seen = new Set<string>();
    const take = (events: readonly Found[]) => {
      for (const found of events) {
        if (!seen.has(found.event.id)) visit(found);
        seen.add(found.event.id);
      }
    };
    if (await this.walk(filter, window, { take, more })) throw tooMuch();
  }

  /**
   * Returns how many events occurred in each hour, by the hour's start, from the counts by name in each segment. Opens
   * only segments that cross an end of the window or that may have events past their retention. Undefined if the filter
   * has more than names and times. Throws 422 if there are too many segments to open.
   */
  async countByHour(query: Pick<EventQuery, "filter" | "window">): Promise<Map<Micros, number> | undefined> {
    const { filter } = query;
    if (!isPlain(filter)) return undefined;
    const window = this.kept(query.window);
    const whole = sql`s.first_occurred >= ${window.since} and s.last_occurred <= ${window.until} and ${holdsNothingOld(this.cutoff)}`;
    const counts = await this.db.rows<{ hour: Micros; name: string; count: number }>(sql`
      select s.hour, c.key as name, sum(c.value) as count from ${event_segment} s, json_each(${asObject(sql`s.counts`)}) c
      where ${this.inWindow(window)} and ${whole} group by s.hour, c.key`);
    const hours = new Map<Micros, number>();
    const add = (hour: Micros, count: number) => hours.set(hour, (hours.get(hour) ?? 0) + count);
    for (const { hour, name, count } of counts) {
      if (matchesName(filter, name)) add(hour, count);
    }
    await this.each(filter, window, ({ occurred }) => add(hourOf(occurred), 1), sql`not (${whole})`);
    return hours;
  }
}

/** The part of the window after the cursor. */
function remainder({ filter, window, after }: EventQuery): Window {
  if (!after) return window;
  return filter.order === "DESC" ? { ...window, until: after.occurred } : { ...window, since: after.occurred };
}

function writtenSince(time: Micros | null): SQL {
  return time === null ? sql`true` : sql`s.id >= ${earliestId(time)}`;
}

/** Whether the filter has only names and times. */
function isPlain({ resource, related, any_resource, id, text }: EventFilter): boolean {
  return !resource && listOf(related).length === 0 && listOf(any_resource).length === 0 && !id?.id?.length && !text;
}

/** Whether a segment `s` certainly has no event past the retention period of its name. */
function holdsNothingOld({ oldestByName }: EventCutoff): SQL {
  const names = [...oldestByName].map(([name, oldest]) => [`${JSON.stringify(name)}:`, oldest]);
  if (names.length === 0) return sql`true`;
  return sql`not exists (select 1 from ${each(names)} n
      where s.first_occurred < n.value->>1 and instr(s.counts, n.value->>0) > 0)`;
}

/** Reads a workspace's stored events: pages, totals and counts. */
import { type SQL, sql } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import { ArchiveUnreachable } from "#archive/bucket";
import { asObject, each, list } from "#db/sql";
import { event_archive, event_segment } from "#db/tables/event";
import { BUNDLE, type BundleRow, Moved } from "#events/archived-bundles";
import { HEADER, type Header, headerOfBundle, MAX_HEADERS } from "#events/archived-headers";
import type { PartHeader } from "#events/archived-parts";
import { resourceId } from "#events/event";
import { type EventFilter, listOf, matchesName, type Window } from "#events/filter";
import type { Micros } from "#lib/clock";
import { type EventQuery, type EventsPage, Page } from "#events/page";
import { type EventCutoff, shownSince } from "#events/retention";
import { mayHoldNames, occurredIn, writtenSince } from "#events/segment-conditions";
import { type Found, SegmentReader, type Stop, tooMuch } from "#events/segment-reader";
import { hourOf } from "#events/segments";
import type { Tools } from "#tools";

/** How often a count begins again because events moved while they were counted. */
const MAX_COUNTS = 20;

/** How many events match a filter. If `isWhole` is false, not all segments were read, and there are at least `total` events. */
interface EventTotal {
  total: number;
  isWhole: boolean;
}

/** The stored events of one workspace that are not past their retention. */
export class EventReader extends SegmentReader {
  /** Where the last answer stopped reading the archive; null if it read all that it needed. */
  stop: Stop | null = null;

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
      more: writtenSince(query.writtenSince),
      known: query.known,
    });
    this.note(stop, page.isDistinct);
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
    this.note(stop, page.isDistinct);
    return { ...page.read(stop), total: ids.size, isWhole: stop === null };
  }

  /**
   * Visits each event that matches the filter once, even if it is in two segments. If there is too much in the archive,
   * `stop` says which events were not visited. Throws 422 if there are too many segments in D1.
   */
  async each(
    filter: EventFilter,
    window: Window,
    visit: (found: Found) => void,
    rest: Pick<Parameters<SegmentReader["walk"]>[2], "snapshot" | "takeHeader"> = {},
  ): Promise<void> {
    const seen = new Set<string>();
    const take = (events: readonly Found[]) => {
      for (const found of events) {
        if (!seen.has(found.event.id)) visit(found);
        seen.add(found.event.id);
      }
    };
    this.note(await this.walk(filter, window, { take, ...rest }), true);
  }

  /**
   * Returns how many events occurred in each hour, by the hour's start, from the counts by name in each segment and
   * bundle. Opens only segments that cross an end of the window or the end of the retention of a name. Undefined if the
   * filter has more than names and times. Throws 422 if there are too many segments to open.
   */
  async countByHour(query: Pick<EventQuery, "filter" | "window">): Promise<Map<Micros, number> | undefined> {
    if (!isPlain(query.filter)) return undefined;
    for (let counts = 0; ; counts++) {
      try {
        return await this.countHours(query.filter, this.kept(query.window));
      } catch (error) {
        if (!(error instanceof Moved)) throw error;
        if (counts === MAX_COUNTS) throw new ArchiveUnreachable(error);
      }
    }
  }

  private async countHours(filter: EventFilter, window: Window): Promise<Map<Micros, number>> {
    const hours = new Map<Micros, number>();
    const add = (hour: Micros, count: number) => hours.set(hour, (hours.get(hour) ?? 0) + count);
    const { counts, rest } = await this.readCounts(filter, window);
    for (const { hour, name, count } of counts) if (name === null || matchesName(filter, name)) add(hour, count);
    const takeHeader = (part: PartHeader, hour: Micros) => {
      if (!isWhole(part, window, this.cutoff)) return false;
      for (const [name, count] of Object.entries(part.counts ?? {})) {
        const isHidden = part.last_occurred < (this.cutoff.oldestByName.get(name) ?? -Infinity);
        if (matchesName(filter, name) && !isHidden) add(hour, count);
      }
      return true;
    };
    await this.each(filter, window, ({ occurred }) => add(hourOf(occurred), 1), { snapshot: rest, takeHeader });
    return hours;
  }

  /** Reads the counts of the segments and bundles that count as a whole, and the headers of the rest, all at one time. */
  private async readCounts(filter: EventFilter, window: Window): Promise<{ counts: Count[]; rest: Header[] }> {
    const { segment, bundle } = occurredIn(this.workspaceId, window);
    const { segment: names, bundle: bundleNames } = mayHoldNames(filter);
    const whole = (alias: string) => countsAsWhole(alias, window, this.cutoff);
    const counted = (table: SQLiteTable, alias: string, where: SQL) =>
      countsOf(table, alias, sql`${where} and ${whole(alias)}`, filter, this.cutoff);
    // Only these hours can be cut by an end of the window or of a retention.
    const cuts = list([window.since, window.until, ...this.cutoff.oldestByName.values()].map(hourOf));
    const [ofSegments = [], segments = [], ofBundles = [], bundles = []] = await this.db.readAll([
      counted(event_segment, "s", segment),
      sql`select ${HEADER}, 1 as fits from ${event_segment} s
        where ${segment} and s.hour in ${cuts} and not ${whole("s")} and ${names} limit ${MAX_HEADERS}`,
      ...(this.archive
        ? [
            counted(event_archive, "a", bundle),
            sql`select ${BUNDLE} from ${event_archive} a where ${bundle}
              and (a.hour in ${cuts} or a.counts is null) and not ${whole("a")} and ${bundleNames}`,
          ]
        : []),
    ]);
    if (segments.length === MAX_HEADERS) throw tooMuch();
    const headers = [...(segments as unknown as Header[]), ...(bundles as unknown as BundleRow[]).map(headerOfBundle)];
    return { counts: [...ofSegments, ...ofBundles] as unknown as Count[], rest: headers };
  }

  /** Records that an answer stops before this segment. Throws 422 if no next page continues an answer from D1. */
  private note(stop: Stop | null, isLast: boolean): void {
    if (stop && !stop.isArchived && isLast) throw tooMuch();
    if (stop?.isArchived) this.stop = stop;
  }
}

/** Reads the events of a workspace that are shown at present. */
export function eventReader(tools: Tools): EventReader {
  return new EventReader(tools.db, tools.workspaceId, shownSince(tools, tools.clock()), tools.archive);
}

/** How many events of a name, or of several names (null), are in the segments of an hour. */
interface Count {
  hour: Micros;
  name: string | null;
  count: number;
}

/** The part of the window after the cursor. */
function remainder({ filter, window, after }: EventQuery): Window {
  if (!after) return window;
  return filter.order === "DESC" ? { ...window, until: after.occurred } : { ...window, since: after.occurred };
}

/** Whether the filter has only names and times. */
function isPlain({ resource, related, any_resource, id, text }: EventFilter): boolean {
  return !resource && listOf(related).length === 0 && listOf(any_resource).length === 0 && !id?.id?.length && !text;
}

/** How many names are compared one by one. A list of names would be one more row for each segment and name. */
const FEW_NAMES = 4;

/** Whether a condition holds for one of the names with a retention of their own. `of` gets a name as in the JSON of counts. */
function forSomeName({ oldestByName }: EventCutoff, of: (name: SQL, oldest: SQL) => SQL): SQL {
  const names = [...oldestByName].map(([name, oldest]) => [`${JSON.stringify(name)}:`, oldest] as const);
  if (names.length === 0) return sql`false`;
  if (names.length > FEW_NAMES)
    return sql`exists (select 1 from ${each(names)} n where ${of(sql`n.value->>0`, sql`n.value->>1`)})`;
  return sql`(${sql.join(
    names.map(([name, oldest]) => of(sql`${name}`, sql`${oldest}`)),
    sql` or `,
  )})`;
}

/** Whether the counts of a segment (`s`) or bundle (`a`) are right: it is within the window and on one side of the retention of each name. */
function countsAsWhole(alias: string, { since, until }: Window, cutoff: EventCutoff): SQL {
  const column = (name: string) => sql.raw(`${alias}.${name}`);
  const [first, last, counts] = [column("first_occurred"), column("last_occurred"), column("counts")];
  const isCut = forSomeName(
    cutoff,
    (name, oldest) => sql`(${first} < ${oldest} and ${last} >= ${oldest} and instr(${counts}, ${name}) > 0)`,
  );
  return sql`(${first} >= ${since} and ${last} <= ${until} and ${counts} is not null and not ${isCut})`;
}

/** The same for a part. */
function isWhole(part: PartHeader, { since, until }: Window, { oldestByName }: EventCutoff): boolean {
  const { first_occurred, last_occurred, counts } = part;
  if (first_occurred < since || last_occurred > until || counts === null) return false;
  return ![...oldestByName].some(
    ([name, oldest]) => first_occurred < oldest && last_occurred >= oldest && Object.hasOwn(counts, name),
  );
}

/**
 * Selects the `Count`s of the segments or bundles that meet a condition, without events that are completely past the retention of their
 * name. The names are read only if the filter names some, and in segments with such events.
 */
function countsOf(table: SQLiteTable, alias: string, where: SQL, filter: EventFilter, cutoff: EventCutoff): SQL {
  const column = (name: string) => sql.raw(`${alias}.${name}`);
  const last = column("last_occurred");
  const key = sql`json_quote(c.key) || ':'`;
  const isHidden = forSomeName(cutoff, (name, oldest) => sql`(${name} = ${key} and ${last} < ${oldest})`);
  const byName = sql`select ${column("hour")} as hour, c.key as name, sum(iif(${isHidden}, 0, c.value)) as count
    from ${table} ${sql.raw(alias)}, json_each(${asObject(column("counts"))}) c where ${where} group by 1, 2`;
  if (namesEvents(filter)) return byName;
  const mayHide = forSomeName(
    cutoff,
    (name, oldest) => sql`(${last} < ${oldest} and instr(${column("counts")}, ${name}) > 0)`,
  );
  const hidden = sql`select total(iif(${isHidden}, c.value, 0)) from json_each(${asObject(column("counts"))}) c`;
  const shown = sql`${column("event_count")} - iif(${mayHide}, (${hidden}), 0)`;
  return sql`select ${column("hour")} as hour, null as name, sum(${shown}) as count
    from ${table} ${sql.raw(alias)} where ${where} group by 1`;
}

/** Whether a filter has criteria for the names of events. */
const namesEvents = ({ event }: EventFilter): boolean => Object.values(event ?? {}).some((list) => list?.length);

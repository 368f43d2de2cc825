/** Reading stored events: pages and totals out of segments, a bounded number of them open at once. */
import { type SQL, sql } from "drizzle-orm";
import { type Database, readJson } from "#db/database";
import { asObject } from "#db/json-column";
import { event_resource, event_segment } from "#db/tables/event";
import { task_run } from "#db/tables/task-run";
import { idOfKind, type ReceivedEvent, resourceId } from "#events/event";
import { type EventFilter, listOf, matchesEvent, type Window } from "#events/filter";
import { nameNeedles, textNeedles } from "#events/needles";
import { earliestId, periodsOf } from "#events/ordered-ids";
import { Page } from "#events/page";
import { readSegment } from "#events/read-segment";
import { type EventCutoff, isKept, NO_CUTOFF } from "#events/retention";
import { hourOf } from "#events/segments";
import { unprocessable } from "#lib/api-error";
import type { Micros } from "#lib/clock";
import { parseTime } from "#wire/dates";
import { each, list } from "#db/sql";

/** Where a page ended: the next one begins after this event. */
export interface Cursor {
  occurred: Micros;
  id: string;
}

/** What is to be read: the filter with its window, and how far an earlier page has come. */
export interface EventQuery {
  filter: EventFilter;
  window: Window;
  limit: number;
  after: Cursor | null;
  /** Only what was written from this time on; null or absent for all. */
  writtenSince?: Micros | null;
  /** How much may be on the page, in characters, where that is less than on any page. */
  mostCharacters?: number;
}

/** A page of events, and where the next one begins; null where all was looked at. */
export interface EventsPage {
  found: Found[];
  next: Cursor | null;
}

/** An event with the time it occurred as a number. */
export interface Found {
  event: ReceivedEvent;
  occurred: Micros;
}

/** How much of the segments is open at once, in bytes. */
const MAX_OPEN_BYTES = 2_000_000;
/** How much is opened first: a page is mostly in the newest segments. */
const MIN_OPEN_BYTES = 200_000;
/** How many segments' keys are looked at in one read. */
const MAX_KEYS = 1_000;
/** So many segments are looked at for one answer … */
const MAX_SEGMENTS_LOOKED_AT = 50_000;
/** … and so many bytes of them opened. */
const MAX_BYTES_OPENED = 200_000_000;
/** The segments of more resources than these are not looked up: all are opened. */
const MAX_NAMED = 2_000;

/** How far back an event that comes again is known for one; the same bounds hold in memory. */
const HOUR: Micros = 3_600_000_000;
const RECENT: Micros = 15 * 60 * 1_000_000;
const MAX_RECENT_SEGMENTS = 200;
const MAX_RECENT_EVENTS = 50_000;

/** What is known of a segment that is not open. */
export interface Header {
  hour: Micros;
  id: string;
  first_occurred: Micros;
  last_occurred: Micros;
  bytes: number;
  /** Whether it has events of a name that is wanted. */
  fits: number;
}

/** How segments are gone through. */
interface Walk {
  /** Takes the wanted events of a segment. */
  take: (events: Found[]) => void;
  /** Whether nothing of this segment and those after it is needed. */
  isEnough?: (next: Header) => boolean;
  /** Shows all events of each segment that was opened, wanted or not. */
  look?: (events: readonly ReceivedEvent[]) => void;
  /** What else a segment must meet. */
  more?: SQL;
}

/** How many events meet a filter. `isWhole` is false where not all was looked at: then there are at least so many. */
export interface EventTotal {
  total: number;
  isWhole: boolean;
}

/** The stored events of one workspace, as far back as they are kept. */
export class EventReader {
  readonly db: Database;
  readonly workspaceId: string;
  readonly cutoff: EventCutoff;

  constructor(db: Database, workspaceId: string, cutoff: EventCutoff = NO_CUTOFF) {
    this.db = db;
    this.workspaceId = workspaceId;
    this.cutoff = cutoff;
  }

  /**
   * A page of events in the filter's order. Segments are opened only as far as the page needs them, and no more than one answer
   * may open: then the page has fewer events, and says where the next one begins. Throws 422 where that leads nowhere.
   */
  async page(query: EventQuery): Promise<EventsPage> {
    if (query.limit === 0) return { found: [], next: null };
    const page = new Page(query);
    const isDistinct = query.filter.resource?.distinct ?? false;
    const stop = await this.walk(query.filter, isDistinct ? query.window : remainder(query), {
      take: (events) => page.take(events),
      isEnough: (next) => page.isSettledBy(next),
      more: writtenSince(query.writtenSince ?? null),
    });
    if (stop && isDistinct) throw tooMuch();
    const { found, next } = page.read(stop);
    if (next && next.occurred === query.after?.occurred && next.id === query.after.id) throw tooMuch();
    return { found, next };
  }

  /**
   * The first page, and how many events there are in all. Names and times are counted from what segments say of themselves; for
   * any other filter all segments are opened once, for both.
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
    const stop = await this.walk(filter, window, { take });
    if (stop && isDistinct) throw tooMuch();
    return { ...page.read(stop), total: ids.size, isWhole: stop === null };
  }

  /** Shows each event that meets the filter, once or, where it was written twice, twice. Throws 422 where they are too many to look at. */
  async each(filter: EventFilter, window: Window, visit: (found: Found) => void): Promise<void> {
    const stop = await this.walk(filter, window, { take: (events) => events.forEach(visit) });
    if (stop) throw tooMuch();
  }

  /**
   * How many events occurred in each hour, for a filter of names and times alone: what segments say of themselves is
   * enough, but for those that lie across an end of the window. Undefined where the filter asks for more.
   */
  async countByHour({
    filter,
    window: asked,
  }: Pick<EventQuery, "filter" | "window">): Promise<Map<Micros, number> | undefined> {
    if (!isPlain(filter)) return undefined;
    const window = this.kept(asked);
    const whole = sql`s.first_occurred >= ${window.since} and s.last_occurred <= ${window.until} and ${this.holdsNothingOld()}`;
    const counts = await this.db.rows<{ hour: Micros; name: string; count: number }>(sql`
      select s.hour, c.key as name, sum(c.value) as count from ${event_segment} s, json_each(${asObject(sql`s.counts`)}) c
      where ${this.inWindow(window)} and ${whole} group by s.hour, c.key`);
    const hours = new Map<Micros, number>();
    const add = (hour: Micros, count: number) => hours.set(hour, (hours.get(hour) ?? 0) + count);
    for (const { hour, name, count } of counts) {
      if (matchesEvent({ order: "DESC", event: filter.event }, nameOnly(name))) add(hour, count);
    }
    const seen = new Set<string>();
    const take = (events: readonly Found[]) => {
      for (const { event, occurred } of events) {
        if (!seen.has(event.id)) add(hourOf(occurred), 1);
        seen.add(event.id);
      }
    };
    if (await this.walk(filter, window, { take, more: sql`not (${whole})` })) throw tooMuch();
    return hours;
  }

  /** Goes through the segments in the filter's order; the first that was not looked at, null where there is none. */
  private async walk(filter: EventFilter, asked: Window, walk: Walk): Promise<Header | null> {
    const ids = filter.id?.id;
    if (!ids?.length) return this.walkAll(filter, asked, walk);
    const near = this.writtenNear(ids);
    const missing = new Set(ids);
    const look = (events: readonly ReceivedEvent[]) => events.forEach(({ id }) => missing.delete(id));
    const { take, more = sql`true` } = walk;
    if (near && (await this.walkAll(filter, asked, { take, look, more: sql`${near} and ${more}` }))) throw tooMuch();
    if (missing.size === 0) return null;
    const rest = { ...filter, id: { id: [...missing] } };
    return this.walkAll(rest, asked, near ? { ...walk, more: sql`not ${near} and ${more}` } : walk);
  }

  /** Opens segments in the filter's order until there is enough, and hands over the events in them that are wanted. */
  private async walkAll(filter: EventFilter, asked: Window, walk: Walk): Promise<Header | null> {
    const window = this.kept(asked);
    const candidates = await this.candidates(filter, window);
    const condition = sql`${this.inWindow(window)} and ${candidates} and ${walk.more ?? sql`true`}`;
    let lookedAt = 0;
    let opened = 0;
    for (let last: Header | undefined; ;) {
      const headers = await this.headers(filter, condition, last);
      last = headers.at(-1);
      const fitting = headers.filter(({ fits }) => fits);
      for (let next = 0, bytes = MIN_OPEN_BYTES; next < fitting.length; bytes *= 4) {
        const first = fitting[next];
        if (!first || walk.isEnough?.(first)) return null;
        if (opened > MAX_BYTES_OPENED) return first;
        const open = firstOf(fitting.slice(next), Math.min(bytes, MAX_OPEN_BYTES));
        for (const events of await this.open(filter, open)) {
          walk.look?.(events);
          walk.take(this.wantedOf(filter, window, events));
        }
        // The database's answers alone never let a process come to its other requests; a timer does.
        await scheduler.wait(1);
        next += open.length;
        opened += open.reduce((sum, header) => sum + header.bytes, 0);
      }
      if (headers.length < MAX_KEYS || !last) return null;
      lookedAt += headers.length;
      if (lookedAt >= MAX_SEGMENTS_LOOKED_AT) return walk.isEnough?.(last) ? null : last;
    }
  }

  /** The segments after `last`, in the filter's order. */
  private headers({ order, ...filter }: EventFilter, condition: SQL, last: Header | undefined): Promise<Header[]> {
    const isNewestFirst = order === "DESC";
    const place = isNewestFirst ? sql`s.hour, s.last_occurred, s.id` : sql`s.hour, s.first_occurred, s.id`;
    const occurred = isNewestFirst ? last?.last_occurred : last?.first_occurred;
    const beyond = last
      ? sql`(${place}) ${isNewestFirst ? sql`<` : sql`>`} (${last.hour}, ${occurred}, ${last.id})`
      : sql`true`;
    const sorted = isNewestFirst ? sql`s.hour desc, s.last_occurred desc, s.id desc` : place;
    return this.db.rows<Header>(sql`
      select s.hour, s.id, s.first_occurred, s.last_occurred, octet_length(s.events) as bytes,
        ${nameNeedles({ order, ...filter })} as fits
      from ${event_segment} s where ${condition} and ${beyond} order by ${sorted} limit ${MAX_KEYS}`);
  }

  private async open(filter: EventFilter, headers: readonly Header[]): Promise<ReceivedEvent[][]> {
    const keys = JSON.stringify(headers.map(({ hour, id }) => [hour, id]));
    const segments = sql`json_each(${keys}) k cross join ${event_segment} s
      on s.workspace_id = ${this.workspaceId} and s.hour = k.value->>0 and s.id = k.value->>1`;
    if (filter.id?.id?.length) {
      const found = await this.openByIds(segments, filter.id.id);
      if (found) return [found];
    }
    const rows = await this.db.rows<{ id: string; events: string }>(
      sql`select s.id, s.events from ${segments} where ${textNeedles(filter)} order by k.key`,
    );
    return rows.map(({ id, events }) => readSegment(id, events));
  }

  /** The events with these ids, found by the database, so that no others travel; undefined where it cannot read a segment. */
  private async openByIds(segments: SQL, ids: readonly string[]): Promise<ReceivedEvent[] | undefined> {
    try {
      const rows = await this.db.rows<{ events: string }>(sql`
        select e.value as events from ${segments} cross join json_each(s.events) e
        where e.value->>'id' in ${list(ids)} order by k.key, e.key`);
      return rows.map((row) => readJson<ReceivedEvent>(row.events));
    } catch (error) {
      console.warn("the database cannot look into a segment, which is opened as a whole", error);
      return undefined;
    }
  }

  /**
   * The segments that were written soon after the times that these ids tell, where they tell any: most events are in them. An
   * event may come later, and its client may make other ids; so what is not found there is looked for everywhere.
   */
  private writtenNear(ids: readonly string[]): SQL | null {
    const periods = periodsOf(ids).map(({ since, until }) => [
      hourOf(since) - HOUR,
      hourOf(until),
      earliestId(since),
      earliestId(until),
    ]);
    if (periods.length === 0) return null;
    return sql`(s.hour, s.id) in (
      select c.hour, c.id from ${each(periods)} near
      cross join ${event_segment} c on c.workspace_id = ${this.workspaceId}
        and c.hour between near.value->>0 and near.value->>1 and c.id between near.value->>2 and near.value->>3)`;
  }

  /** The ids of events that were written in the last minutes: what a client may send again after a break. */
  async recentIds(now: Micros): Promise<string[]> {
    const since = now - RECENT;
    const recent = sql`(
        select hour, id, events from ${event_segment}
        where workspace_id = ${this.workspaceId} and hour >= ${hourOf(since)} and id >= ${earliestId(since)}
        order by id desc limit ${MAX_RECENT_SEGMENTS}
      )`;
    const [rows, tooDeep] = await this.db.readAll([
      sql`select e.value->>'id' as id from ${recent} s, json_each(iif(json_valid(s.events), s.events, '[]')) e
        limit ${MAX_RECENT_EVENTS}`,
      sql`select s.hour as hour, s.id as id from ${recent} s where not json_valid(s.events)`,
    ]);
    const ids = (rows ?? []).flatMap(({ id }) => (typeof id === "string" ? id : []));
    for (const { hour, id } of tooDeep ?? []) ids.push(...(await this.idsIn(Number(hour), String(id))));
    return ids;
  }

  /** The ids in a segment that SQLite cannot read, as one that nests too deep for it. */
  private async idsIn(hour: Micros, id: string): Promise<string[]> {
    const rows = await this.db.rows<{ events: string }>(
      sql`select events from ${event_segment} where workspace_id = ${this.workspaceId} and hour = ${hour} and id = ${id}`,
    );
    return rows.flatMap(({ events }) => readSegment(id, events)).flatMap((event) => event?.id ?? []);
  }

  private kept({ since, until }: Window): Window {
    return { since: Math.max(since, this.cutoff.oldest), until };
  }

  /** Whether a segment certainly holds no event that is too old by its name's own period. */
  private holdsNothingOld(): SQL {
    const names = [...this.cutoff.oldestByName].map(([name, oldest]) => [`${JSON.stringify(name)}:`, oldest]);
    if (names.length === 0) return sql`true`;
    return sql`not exists (select 1 from ${each(names)} n
      where s.first_occurred < n.value->>1 and instr(s.counts, n.value->>0) > 0)`;
  }

  private wantedOf(filter: EventFilter, window: Window, events: readonly ReceivedEvent[]): Found[] {
    return events.flatMap((event) => {
      const occurred = parseTime(event.occurred);
      if (occurred === undefined || occurred < window.since || occurred > window.until) return [];
      return isKept(this.cutoff, event.event, occurred) && matchesEvent(filter, event) ? { event, occurred } : [];
    });
  }

  private inWindow({ since, until }: Window): SQL {
    return sql`s.workspace_id = ${this.workspaceId} and s.hour between ${hourOf(since)} and ${hourOf(until)}
      and s.last_occurred >= ${since} and s.first_occurred <= ${until}`;
  }

  /** Where the filter names resources that every segment with them is found by, only those segments. */
  private async candidates(filter: EventFilter, { since, until }: Window): Promise<SQL> {
    const named = [
      filter.resource?.id?.length ? filter.resource.id : null,
      ...listOf(filter.related).map((related) => onlyRuns(related.id)),
      ...listOf(filter.any_resource).map((any) => onlyRuns(any.id)),
    ].find((ids) => ids !== null);
    if (!named || named.length > MAX_NAMED) return sql`true`;
    const indexed = (await this.withFlowRuns(named)).map((id) => [id, JSON.stringify(id)]);
    return sql`(s.hour, s.id) in (
      select c.hour, c.id from ${each(indexed)} wanted
      cross join ${event_resource} r on r.workspace_id = ${this.workspaceId} and r.resource_id = wanted.value->>0
        and r.hour between ${hourOf(since)} and ${hourOf(until)}
      cross join ${event_segment} c on c.workspace_id = ${this.workspaceId} and c.hour = r.hour
        and c.id between r.first_id and r.last_id
      where instr(c.resources, wanted.value->>1) > 0)`;
  }

  /** A task run's events are found by its flow run, or by its own id where it had none. */
  private async withFlowRuns(resources: readonly string[]): Promise<string[]> {
    const taskRuns = resources.flatMap((id) => idOfKind("prefect.task-run", id) ?? []);
    if (taskRuns.length === 0) return [...resources];
    const rows = await this.db.all(
      this.db.build
        .select({ flow_run_id: task_run.flow_run_id })
        .from(task_run)
        .where(sql`workspace_id = ${this.workspaceId} and id in ${list(taskRuns)}`),
    );
    return [...resources, ...rows.map((row) => `prefect.flow-run.${row.flow_run_id}`)];
  }
}

/** The window from the cursor on. */
function remainder({ filter, window, after }: EventQuery): Window {
  if (!after) return window;
  return filter.order === "DESC" ? { ...window, until: after.occurred } : { ...window, since: after.occurred };
}

/** The first headers whose segments can be open together; at least one. */
function firstOf(headers: readonly Header[], maxBytes: number): Header[] {
  let bytes = 0;
  const end = headers.findIndex((header, index) => {
    bytes += header.bytes;
    return index > 0 && bytes > maxBytes;
  });
  return headers.slice(0, end < 0 ? headers.length : end);
}

/** Whether only names and times are asked for, which segments say of themselves. */
function isPlain({ resource, related, any_resource, id, text }: EventFilter): boolean {
  return !resource && listOf(related).length === 0 && listOf(any_resource).length === 0 && !id?.id?.length && !text;
}

function nameOnly(name: string): ReceivedEvent {
  return { occurred: "", event: name, resource: {}, related: [], payload: {}, id: "", follows: null, received: "" };
}

/** The ids where all of them are flow runs, of which every segment is found; else null. */
function onlyRuns(ids: readonly string[] | null | undefined): readonly string[] | null {
  return ids?.length && ids.every((id) => idOfKind("prefect.flow-run", id) !== undefined) ? ids : null;
}

function writtenSince(time: Micros | null): SQL {
  return time === null ? sql`true` : sql`s.id >= ${earliestId(time)}`;
}

function tooMuch() {
  return unprocessable(
    `The filter leads through more than ${MAX_SEGMENTS_LOOKED_AT} batches or ${MAX_BYTES_OPENED / 1_000_000} MB of events. ` +
      "Please narrow it by time, by name or by resource.",
  );
}

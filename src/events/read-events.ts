/** Reading stored events: pages and totals out of segments, a bounded number of them open at once. */
import { type SQL, sql } from "drizzle-orm";
import type { Database } from "#db/database";
import { event_resource, event_segment } from "#db/tables/event";
import { task_run } from "#db/tables/task-run";
import { idOfKind, type ReceivedEvent, resourceId } from "#events/event";
import { type EventFilter, listOf, matchesEvent, type Window } from "#events/filter";
import { earliestId } from "#events/ordered-ids";
import { readSegment } from "#events/read-segment";
import { type Horizon, isKept, NO_HORIZON } from "#events/retention";
import { hourOf } from "#events/segments";
import type { Micros } from "#lib/clock";
import { parseTime } from "#wire/dates";

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
}

/** An event with the time it occurred as a number. */
export interface Found {
  event: ReceivedEvent;
  occurred: Micros;
}

/** How much of the segments is open at once. */
const MAX_OPEN_CHARACTERS = 6_000_000;
/** How much is opened first: a page is mostly in the newest segments. */
const MIN_OPEN_CHARACTERS = 200_000;
/** How many segments' keys are looked at in one read. */
const MAX_KEYS = 500;

/** How far back an event that comes again is known for one; the same bounds hold in memory. */
const RECENT: Micros = 15 * 60 * 1_000_000;
const MAX_RECENT_SEGMENTS = 200;
const MAX_RECENT_EVENTS = 50_000;

interface Header {
  hour: Micros;
  id: string;
  first_occurred: Micros;
  last_occurred: Micros;
  characters: number;
}

/** The stored events of one workspace, as far back as they are kept. */
export class EventReader {
  readonly db: Database;
  readonly workspaceId: string;
  readonly horizon: Horizon;

  constructor(db: Database, workspaceId: string, horizon: Horizon = NO_HORIZON) {
    this.db = db;
    this.workspaceId = workspaceId;
    this.horizon = horizon;
  }

  /** A page of events in the filter's order. Segments are opened only as far as the page needs them. */
  async page(query: EventQuery): Promise<Found[]> {
    if (query.limit === 0) return [];
    const page = new Page(query);
    const isDistinct = query.filter.resource?.distinct ?? false;
    const isEnough = (next: Header) => !isDistinct && page.isSettledBy(next);
    await this.walk(query.filter, isDistinct ? query.window : remainder(query), isEnough, (events) =>
      page.take(events),
    );
    return page.read();
  }

  /** How many events meet the filter. Names and times are counted from what segments say of themselves. */
  async count({ filter, window }: Pick<EventQuery, "filter" | "window">): Promise<number> {
    const hours = await this.countByHour({ filter, window });
    if (hours) return hours.values().reduce((sum, count) => sum + count, 0);
    const ids = new Set<string>();
    await this.each(filter, window, ({ event }) =>
      ids.add(filter.resource?.distinct ? resourceId(event.resource) : event.id),
    );
    return ids.size;
  }

  /** Shows each event that meets the filter, once or, where it was written twice, twice. */
  async each(filter: EventFilter, window: Window, visit: (found: Found) => void): Promise<void> {
    await this.walk(
      filter,
      window,
      () => false,
      (events) => {
        for (const found of events) visit(found);
      },
    );
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
      select s.hour, c.key as name, sum(c.value) as count from ${event_segment} s, json_each(s.counts) c
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
    await this.walk(filter, window, () => false, take, sql`not (${whole})`);
    return hours;
  }

  /** Opens segments in the filter's order until there is enough, and hands over the events in them that are wanted. */
  private async walk(
    filter: EventFilter,
    asked: Window,
    isEnough: (next: Header) => boolean,
    take: (events: Found[]) => void,
    more: SQL = sql`true`,
  ): Promise<void> {
    const window = this.kept(asked);
    const candidates = await this.candidates(filter, window);
    const isNewestFirst = filter.order === "DESC";
    const order = isNewestFirst
      ? sql`s.hour desc, s.last_occurred desc, s.id desc`
      : sql`s.hour, s.first_occurred, s.id`;
    for (let offset = 0; ; offset += MAX_KEYS) {
      const headers = await this.db.rows<Header>(sql`
        select s.hour, s.id, s.first_occurred, s.last_occurred, length(s.events) as characters
        from ${event_segment} s
        where ${this.inWindow(window)} and ${candidates} and ${needles(filter)} and ${more}
        order by ${order} limit ${MAX_KEYS} offset ${offset}`);
      for (let next = 0, characters = MIN_OPEN_CHARACTERS; next < headers.length; characters *= 4) {
        const first = headers[next];
        if (!first || isEnough(first)) return;
        const open = firstOf(headers.slice(next), Math.min(characters, MAX_OPEN_CHARACTERS));
        for (const events of await this.open(open)) take(this.wantedOf(filter, window, events));
        next += open.length;
      }
      if (headers.length < MAX_KEYS) return;
    }
  }

  private async open(headers: readonly Header[]): Promise<ReceivedEvent[][]> {
    const keys = JSON.stringify(headers.map(({ hour, id }) => [hour, id]));
    const rows = await this.db.rows<{ id: string; events: string }>(sql`
      select s.id, s.events from json_each(${keys}) k cross join ${event_segment} s
      where s.workspace_id = ${this.workspaceId} and s.hour = k.value->>0 and s.id = k.value->>1 order by k.key`);
    return rows.map(({ id, events }) => readSegment(id, events));
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
    return { since: Math.max(since, this.horizon.oldest), until };
  }

  /** Whether a segment certainly holds no event that is too old by its name's own period. */
  private holdsNothingOld(): SQL {
    const names = [...this.horizon.oldestByName].map(([name, oldest]) => [`${JSON.stringify(name)}:`, oldest]);
    if (names.length === 0) return sql`true`;
    return sql`not exists (select 1 from json_each(${JSON.stringify(names)}) n
      where s.first_occurred < n.value->>1 and instr(s.counts, n.value->>0) > 0)`;
  }

  private wantedOf(filter: EventFilter, window: Window, events: readonly ReceivedEvent[]): Found[] {
    return events.flatMap((event) => {
      const occurred = parseTime(event.occurred);
      if (occurred === undefined || occurred < window.since || occurred > window.until) return [];
      return isKept(this.horizon, event.event, occurred) && matchesEvent(filter, event) ? { event, occurred } : [];
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
    if (!named) return sql`true`;
    const indexed = (await this.withFlowRuns(named)).map((id) => [id, JSON.stringify(id)]);
    return sql`(s.hour, s.id) in (
      select c.hour, c.id from json_each(${JSON.stringify(indexed)}) wanted
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
        .where(
          sql`workspace_id = ${this.workspaceId} and id in (select value from json_each(${JSON.stringify(taskRuns)}))`,
        ),
    );
    return [...resources, ...rows.map((row) => `prefect.flow-run.${row.flow_run_id}`)];
  }
}

/** Gathers a page out of segments that come in the order of their first (or last) event. */
class Page {
  private readonly query: EventQuery;
  private readonly isNewestFirst: boolean;
  private best: Found[] = [];

  constructor(query: EventQuery) {
    this.query = query;
    this.isNewestFirst = query.filter.order === "DESC";
  }

  /** Adds events; keeps what may still be on the page. */
  take(events: readonly Found[]): void {
    this.best.push(...events.filter((found) => !this.isEarlier(found)));
    if (!this.isDistinct()) this.best = unique(this.best.toSorted(this.compare)).slice(0, this.query.limit);
  }

  /** Whether no event of this segment, or of one after it, can change the page. */
  isSettledBy(next: Header): boolean {
    const last = this.best[this.query.limit - 1];
    if (!last) return false;
    return this.isNewestFirst ? next.last_occurred < last.occurred : next.first_occurred > last.occurred;
  }

  read(): Found[] {
    if (!this.isDistinct()) return this.best;
    const firsts = Map.groupBy(this.best.toSorted(this.compare), ({ event }) => resourceId(event.resource));
    const { after, limit } = this.query;
    return [...firsts.values()]
      .flatMap(([first]) => first ?? [])
      .filter((found) => !after || this.compare(found, cursorOf(after)) > 0)
      .slice(0, limit);
  }

  private isDistinct(): boolean {
    return this.query.filter.resource?.distinct ?? false;
  }

  private isEarlier(found: Found): boolean {
    const { after } = this.query;
    return after !== null && !this.isDistinct() && this.compare(found, cursorOf(after)) <= 0;
  }

  private readonly compare = (
    a: { occurred: Micros; event: { id: string } },
    b: { occurred: Micros; event: { id: string } },
  ): number => {
    const difference = a.occurred - b.occurred || (a.event.id < b.event.id ? -1 : Number(a.event.id > b.event.id));
    return this.isNewestFirst ? -difference : difference;
  };
}

const cursorOf = ({ occurred, id }: Cursor) => ({ occurred, event: { id } });

function unique(sorted: readonly Found[]): Found[] {
  const seen = new Set<string>();
  return sorted.filter(({ event }) => !seen.has(event.id) && seen.add(event.id));
}

/** The window from the cursor on. */
function remainder({ filter, window, after }: EventQuery): Window {
  if (!after) return window;
  return filter.order === "DESC" ? { ...window, until: after.occurred } : { ...window, since: after.occurred };
}

/** The first headers whose segments can be open together; at least one. */
function firstOf(headers: readonly Header[], maxCharacters: number): Header[] {
  let characters = 0;
  const end = headers.findIndex((header, index) => {
    characters += header.characters;
    return index > 0 && characters > maxCharacters;
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

/** Passes over segments that lack a text which any wanted event must have: the database looks, and nothing is parsed. */
function needles(filter: EventFilter): SQL {
  const names = sql.raw("s.counts");
  const events = sql.raw("s.events");
  const conditions = [
    anyIn(names, filter.event?.name, (name) => `${JSON.stringify(name)}:`),
    anyIn(names, filter.event?.prefix, opening),
    anyIn(events, filter.id?.id, (id) => `"id":"${id}"`),
    ...[filter.resource, ...listOf(filter.related), ...listOf(filter.any_resource)].flatMap((resource) => [
      anyIn(events, resource?.id, (id) => JSON.stringify(id)),
      anyIn(events, resource && "id_prefix" in resource ? resource.id_prefix : null, opening),
    ]),
  ].filter((condition) => condition !== null);
  return conditions.length === 0 ? sql`true` : sql.join(conditions, sql` and `);
}

/** A text as JSON writes it, without the quote at its end. */
const opening = (text: string): string => JSON.stringify(text).slice(0, -1);

function anyIn(
  column: SQL,
  texts: readonly string[] | null | undefined,
  toNeedle: (text: string) => string,
): SQL | null {
  if (!texts?.length) return null;
  return sql`exists (select 1 from json_each(${JSON.stringify(texts.map(toNeedle))}) n where instr(${column}, n.value) > 0)`;
}

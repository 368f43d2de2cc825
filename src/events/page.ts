/** A page of events from segments. The segments come in the order of their first (or last) event. */
import { resourceId } from "#events/event";
import type { EventFilter, Window } from "#events/filter";
import type { Header } from "#events/archived-headers";
import type { Found } from "#events/segment-reader";
import type { Micros } from "#lib/clock";

/** Where a page ended: the next page begins after this event. */
export interface Cursor {
  occurred: Micros;
  id: string;
}

/** Which events to read: the filter with its window, and where the previous page ended. */
export interface EventQuery {
  filter: EventFilter;
  window: Window;
  limit: number;
  after: Cursor | null;
  /** Only events that were written from this time on; null or absent for all events. */
  writtenSince?: Micros | null;
  /** The segments that may have events of the window, in the filter's order, if the caller knows them. */
  known?: readonly Header[] | undefined;
  /** How many characters the page may have, if fewer than `MAX_PAGE_CHARACTERS`. */
  mostCharacters?: number;
}

/** A page of events, and where the next page begins; null if there is no next page. */
export interface EventsPage {
  found: Found[];
  next: Cursor | null;
}

/** How many characters a page has at most, because an event may have 1.5 MB. A page has at least one event. */
const MAX_PAGE_CHARACTERS = 4_000_000;

/** A page that is being built. */
export class Page {
  private readonly query: EventQuery;
  private readonly isNewestFirst: boolean;
  /** Whether the page has only one event of each resource. */
  readonly isDistinct: boolean;
  private best: Found[] = [];
  /** Whether there are, or may be, wanted events after the last event of the page. */
  private isFull = false;

  constructor(query: EventQuery) {
    this.query = query;
    this.isNewestFirst = query.filter.order === "DESC";
    this.isDistinct = query.filter.resource?.distinct ?? false;
  }

  /** Adds events, and keeps only those that may still be on the page. */
  take(events: readonly Found[]): void {
    if (this.isDistinct) return this.takeFirsts(events);
    const all = unique([...this.best, ...events.filter((found) => !this.isEarlier(found))].toSorted(this.compare));
    const end = this.endOf(all);
    this.isFull ||= end < all.length || end >= this.query.limit;
    this.best = all.slice(0, end);
  }

  /** Whether no event of this segment, or of a later segment, can change the page. */
  isSettledBy(next: Header): boolean {
    const last = this.best.at(-1);
    if (!last || !this.isFull || this.isDistinct) return false;
    return this.isNewestFirst ? next.last_occurred < last.occurred : next.first_occurred > last.occurred;
  }

  /** Returns the page. If the segments from `stop` on were not read, the page ends before them. */
  read(stop: Header | null): EventsPage {
    if (this.isDistinct) return this.readDistinct();
    const last = this.best.at(-1);
    if (!stop || this.isSettledBy(stop)) return { found: this.best, next: this.isFull && last ? endAfter(last) : null };
    const next = this.isNewestFirst
      ? { occurred: stop.last_occurred, id: AFTER_ALL_IDS }
      : { occurred: stop.first_occurred, id: "" };
    return { found: this.best.filter((found) => this.compare(found, placeOf(next)) < 0), next };
  }

  /** Keeps the first event of each resource. */
  private takeFirsts(events: readonly Found[]): void {
    const firsts = Map.groupBy([...this.best, ...events].toSorted(this.compare), ({ event }) =>
      resourceId(event.resource),
    );
    this.best = [...firsts.values()].flatMap(([first]) => first ?? []);
  }

  private readDistinct(): EventsPage {
    const { after } = this.query;
    const rest = this.best.toSorted(this.compare).filter((found) => !after || this.compare(found, placeOf(after)) > 0);
    const found = rest.slice(0, this.endOf(rest));
    const last = found.at(-1);
    return { found, next: last && found.length < rest.length ? endAfter(last) : null };
  }

  /** How many of these events fit on the page. */
  private endOf(sorted: readonly Found[]): number {
    let characters = 0;
    const end = sorted.slice(0, this.query.limit).findIndex((found, index) => {
      characters += sizeOf(found);
      return index > 0 && characters > (this.query.mostCharacters ?? MAX_PAGE_CHARACTERS);
    });
    return end < 0 ? Math.min(sorted.length, this.query.limit) : end;
  }

  private isEarlier(found: Found): boolean {
    const { after } = this.query;
    return after !== null && this.compare(found, placeOf(after)) <= 0;
  }

  private readonly compare = (a: Place, b: Place): number => {
    const difference = a.occurred - b.occurred || (a.event.id < b.event.id ? -1 : Number(a.event.id > b.event.id));
    return this.isNewestFirst ? -difference : difference;
  };
}

/** The fields that the order of events depends on. */
interface Place {
  occurred: Micros;
  event: { id: string };
}

/** Sorts after every id. */
const AFTER_ALL_IDS = "~";

const placeOf = ({ occurred, id }: Cursor): Place => ({ occurred, event: { id } });
const endAfter = ({ occurred, event }: Found): Cursor => ({ occurred, id: event.id });

function unique(sorted: readonly Found[]): Found[] {
  const seen = new Set<string>();
  return sorted.filter(({ event }) => !seen.has(event.id) && seen.add(event.id));
}

const sizes = new WeakMap<Found, number>();

function sizeOf(found: Found): number {
  const known = sizes.get(found);
  if (known !== undefined) return known;
  const size = JSON.stringify(found.event).length;
  sizes.set(found, size);
  return size;
}

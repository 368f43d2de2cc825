/**
 * The headers of a workspace's segments in D1 and of the parts in the archive, as one list in the filter's order. A
 * bundle stands in the list before its parts, and its index is read when the reader comes to it. The headers of both
 * stores are read in one transaction, so events that move meanwhile are in one of the stores.
 */
import { type SQL, sql } from "drizzle-orm";
import type { Entry } from "#archive/bundle";
import { list } from "#db/sql";
import { event_archive, event_segment } from "#db/tables/event";
import type { WorkspaceStore } from "#db/workspace-store";
import { BUNDLE, BundleReader, type BundleRow } from "#events/archived-bundles";
import { headerOf, type PartHeader } from "#events/archived-parts";
import type { EventFilter } from "#events/filter";
import type { Condition } from "#events/segment-conditions";
import { BYTES, HOUR, type SizedKey } from "#events/segments";
import type { Archive } from "#archive/store";
import type { Micros } from "#lib/clock";

/** How many segments' keys, and how many bundles, one read returns. */
const MAX_KEYS = 1_000;
const MAX_BUNDLES = 200;
/** How many headers are read for one answer, and how many indexes of bundles. */
export const MAX_HEADERS = 50_000;
export const MAX_INDEXES = 40;
/** How many indexes are read at once: Cloudflare allows six open connections. */
const MAX_AT_ONCE = 6;

/** What is known about a segment that is not open. */
export interface Header extends SizedKey {
  first_occurred: Micros;
  last_occurred: Micros;
  /** Whether the segment may have an event with a wanted name. */
  fits: number;
  /** The bundle that has the segment, if it is in the archive. */
  bundle?: BundleRow;
  /** The place of the segment in its bundle. A header with a bundle and without this field is the whole bundle, whose index was not read. */
  entry?: Entry;
}

/** Which headers are wanted. */
export interface Wanted {
  order: EventFilter["order"];
  condition: Condition;
  /** A condition that the database checks for each segment without passing it over, so that a read has a bounded length. */
  names: Condition;
  /** The headers, if the caller knows them. Then no others are read. */
  known?: readonly Header[] | undefined;
  /** Takes a part by its header alone. False if the part has to be opened. */
  takeHeader?: ((part: PartHeader, hour: Micros) => boolean) | undefined;
}

/** The columns of a `Header` in the rows `s`, without `fits`. */
export const HEADER = sql`s.hour, s.id, s.first_occurred, s.last_occurred, ${BYTES} as bytes`;

type Place = Pick<Header, "hour" | "id" | "first_occurred" | "last_occurred">;

/** Sorts after every id. */
const AFTER_ALL_IDS = "~";

export class Headers {
  readonly bundles: BundleReader | null;
  /** Whether an index was read. */
  hasReadArchive = false;
  private readonly store: WorkspaceStore;
  private readonly wanted: Wanted;
  private readonly isNewestFirst: boolean;
  /** The headers that were read, in the filter's order. */
  private waiting: Header[] = [];
  /** The headers up to this place were read; all headers, if `isRead`. */
  private read: Place | null = null;
  private isRead = false;
  /** The bundles whose index was read. */
  private readonly opened = new Map<string, BundleRow>();
  private headersRead = 0;
  private indexesRead = 0;
  private atOnce = 1;

  constructor(store: WorkspaceStore, archive: Archive | null, wanted: Wanted) {
    this.store = store;
    this.wanted = wanted;
    this.bundles = archive && new BundleReader(archive);
    this.isNewestFirst = wanted.order === "DESC";
    if (!wanted.known) return;
    this.waiting = wanted.known.toSorted(this.compare);
    this.isRead = true;
  }

  /** The next header; null at the end. If `isSpent`, one answer reads neither this header nor the headers after it. */
  async first(): Promise<{ header: Header; isSpent: boolean } | null> {
    for (;;) {
      const [header] = this.waiting;
      if (header && this.isWithin(header))
        return { header, isSpent: isUnread(header) && this.indexesRead >= MAX_INDEXES };
      if (this.isRead) return null;
      if (this.read && this.headersRead >= MAX_HEADERS)
        return { header: { ...this.read, bytes: 0, fits: 1 }, isSpent: true };
      await this.readMore();
    }
  }

  /** Takes out the first headers: of D1 or of one bundle, with at most so many bytes together, and at least one. */
  take(most: number): Header[] {
    const [first] = this.waiting;
    let bytes = 0;
    const end = this.waiting.findIndex((header, index) => {
      bytes += header.bytes;
      const isOther = header.bundle !== first?.bundle || isUnread(header) || !this.isWithin(header);
      return index > 0 && (bytes > most || isOther);
    });
    return this.waiting.splice(0, end < 0 ? this.waiting.length : end);
  }

  /** Reads the indexes of the first bundles, and puts their parts in the place of the bundles. */
  async openBundles(): Promise<void> {
    const most = Math.min(this.atOnce, MAX_INDEXES - this.indexesRead);
    const some = this.waiting.filter(isUnread).slice(0, most);
    this.atOnce = Math.min(2 * this.atOnce, MAX_AT_ONCE);
    this.indexesRead += some.length;
    this.hasReadArchive = true;
    const parts = await Promise.all(some.map((header) => this.partsOf(header)));
    const opened = new Set(some);
    for (const { bundle } of some) if (bundle) this.opened.set(bundle.id, bundle);
    this.waiting = [...this.waiting.filter((header) => !opened.has(header)), ...parts.flat()].toSorted(this.compare);
  }

  /** Begins again with an hour, after its events have moved. */
  restartAt(hour: Micros): void {
    this.waiting = [];
    this.opened.clear();
    this.isRead = false;
    const before = this.isNewestFirst ? { time: hour + HOUR, id: AFTER_ALL_IDS } : { time: hour - 1, id: "" };
    this.read = { hour, first_occurred: before.time, last_occurred: before.time, id: before.id };
  }

  private async partsOf({ hour, bundle }: Header): Promise<Header[]> {
    if (!bundle || !this.bundles) return [];
    const { condition, names, takeHeader } = this.wanted;
    return (await this.bundles.entriesOf(bundle)).flatMap((entry) => {
      const part = headerOf(entry);
      if (!condition.part(part) || !names.part(part) || takeHeader?.(part, hour)) return [];
      const { first_occurred, last_occurred, bytes } = part;
      const id = `${bundle.id}.${entry.offset}`;
      return { hour, id, first_occurred, last_occurred, bytes, fits: 1, bundle, entry };
    });
  }

  /** Reads the next headers of both stores. The bundles of the hour that was begun are read again, because new ones may be there. */
  private async readMore(): Promise<void> {
    const after = this.read;
    const { db } = this.store;
    const statements = this.bundles
      ? [this.selectSegments(after), this.selectBundles(after)]
      : [this.selectSegments(after)];
    const [keys = [], rows = []] = await db.readAll(statements);
    const segments = keys as unknown as Header[];
    const bundles = (rows as unknown as BundleRow[]).map(headerOfBundle);
    // A list that is cut ends the read of both.
    const [end] = [
      ...(segments.length === MAX_KEYS ? segments.slice(-1) : []),
      ...(bundles.length === MAX_BUNDLES ? bundles.slice(-1) : []),
    ].toSorted(this.compare);
    const found = [...segments, ...bundles].filter((header) => !end || this.compare(header, end) <= 0);
    this.headersRead += found.length;
    this.waiting = [...this.waiting, ...found.filter(({ fits }) => fits)].toSorted(this.compare);
    this.isRead = !end;
    if (end) this.read = placeOf(end);
  }

  private selectSegments(after: Place | null): SQL {
    const { condition, names } = this.wanted;
    const place = sql.raw(`(s.hour, s.${this.time}, s.id)`);
    const beyond = after
      ? sql`${place} ${this.isNewestFirst ? sql`<` : sql`>`} (${after.hour}, ${after[this.time]}, ${after.id})`
      : sql`true`;
    return sql`select ${HEADER}, ${names.segment} as fits from ${event_segment} s
      where ${condition.segment} and ${beyond} order by ${this.sorted("s")} limit ${MAX_KEYS}`;
  }

  private selectBundles(after: Place | null): SQL {
    const { condition, names } = this.wanted;
    const ofHour = [...this.opened.values()].flatMap(({ hour, id }) => (hour === after?.hour ? id : []));
    const beyond = after
      ? sql`a.hour ${this.isNewestFirst ? sql`<=` : sql`>=`} ${after.hour} and a.id not in ${list(ofHour)}`
      : sql`true`;
    return sql`select ${BUNDLE} from ${event_archive} a
      where ${condition.bundle} and ${names.bundle} and ${beyond} order by ${this.sorted("a")} limit ${MAX_BUNDLES}`;
  }

  private sorted(alias: string): SQL {
    const down = this.isNewestFirst ? " desc" : "";
    return sql.raw([`hour`, this.time, `id`].map((column) => `${alias}.${column}${down}`).join(", "));
  }

  private isWithin(header: Header): boolean {
    return this.isRead || (this.read !== null && this.compare(header, this.read) <= 0);
  }

  private get time(): "last_occurred" | "first_occurred" {
    return this.isNewestFirst ? "last_occurred" : "first_occurred";
  }

  private readonly compare = (a: Place, b: Place): number => {
    const difference = a.hour - b.hour || a[this.time] - b[this.time] || (a.id < b.id ? -1 : Number(a.id > b.id));
    return this.isNewestFirst ? -difference : difference;
  };
}

/** A bundle whose index was not read, in the place of its parts. */
export const headerOfBundle = (bundle: BundleRow): Header => ({ ...placeOf(bundle), bytes: 0, fits: 1, bundle });

/** Whether this is a bundle whose index was not read. */
export const isUnread = ({ bundle, entry }: Header): boolean => bundle !== undefined && entry === undefined;

const placeOf = ({ hour, id, first_occurred, last_occurred }: Place): Place => ({
  hour,
  id,
  first_occurred,
  last_occurred,
});

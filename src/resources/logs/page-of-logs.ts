/** Finds a page of logs in the order of time, of any number of logs, in bounded memory. Pure. */
import { byteLength } from "#lib/bytes";
import type { LogRecord } from "#db/tables/log";
import { isLeftOut, LONG_BYTES } from "#db/long-values";
import type { Micros } from "#lib/clock";
import type { LogSort } from "#filters/logs";
import type { Closed } from "#resources/logs/records";

/** A record that was found: its segment, its index in the segment, and the record, or its number of bytes if it was left out. */
export interface FoundLog {
  segment: Closed;
  place: number;
  timestamp: Micros;
  record: Partial<LogRecord> | number;
}

/** How many bytes of records are kept. Other records are left out, and are read again if the page has them. */
const MAX_KEPT_BYTES = 2_000_000;

/** How many entries there are before the entries before the page are dropped. */
const MIN_PASSED = 10_000;
/** The bytes of a record without its texts. */
const RECORD_BYTES = 200;

/** The columns of a segment in an order: the time of its first and of its last record. */
export function endsIn(sort: LogSort) {
  return sort === "TIMESTAMP_ASC"
    ? ({ near: "first_timestamp", far: "last_timestamp" } as const)
    : ({ near: "last_timestamp", far: "first_timestamp" } as const);
}

/** A page of the logs that are added: `limit` logs after the first `offset` logs. */
export class PageOfLogs {
  private readonly direction: 1 | -1;
  private readonly limit: number;
  /** How many of the entries are before the page. */
  private offset: number;
  private entries: FoundLog[] = [];
  private keptBytes = 0;
  /** The time of the last log of the page, when the entries were last cut. Later additions can only make it earlier. */
  private last: Micros | null = null;
  private passAt = MIN_PASSED;

  constructor(sort: LogSort, offset: number, limit: number) {
    this.direction = sort === "TIMESTAMP_ASC" ? 1 : -1;
    this.offset = offset;
    this.limit = limit;
  }

  add(segment: Closed, place: number, record: Partial<LogRecord>): void {
    const bytes = bytesOf(record);
    const isKept = bytes <= LONG_BYTES && this.keptBytes + bytes <= MAX_KEPT_BYTES;
    if (isKept) this.keptBytes += bytes;
    const { timestamp = Number.NEGATIVE_INFINITY } = record;
    this.entries.push({ segment, place, timestamp, record: isKept ? record : bytes });
    if (this.entries.length >= 2 * (this.offset + this.limit)) this.cut();
  }

  /** Whether the page is complete, if all logs that are still to come are not before `next`. */
  isComplete(next: Micros): boolean {
    if (this.entries.length >= this.passAt) this.pass(next);
    if (this.entries.length < this.offset + this.limit) return false;
    if (this.last === null) this.cut();
    return this.last !== null && this.isBefore(this.last, next);
  }

  /** The logs of the page in their order. */
  found(): FoundLog[] {
    this.cut();
    return this.entries.slice(this.offset);
  }

  /** Drops the logs after the page. */
  private cut(): void {
    this.entries.sort((a, b) => this.compare(a, b));
    this.forget(this.entries.splice(this.offset + this.limit));
    this.last = this.entries[this.offset + this.limit - 1]?.timestamp ?? null;
  }

  /** Drops logs before the page that have their final place in the order. */
  private pass(next: Micros): void {
    this.entries.sort((a, b) => this.compare(a, b));
    const unsure = this.entries.findIndex(({ timestamp }) => !this.isBefore(timestamp, next));
    const passed = Math.min(this.offset, unsure < 0 ? this.entries.length : unsure);
    this.forget(this.entries.splice(0, passed));
    this.offset -= passed;
    this.passAt = MIN_PASSED + 2 * this.entries.length;
  }

  private forget(entries: readonly FoundLog[]): void {
    for (const { record } of entries) if (!isLeftOut(record)) this.keptBytes -= bytesOf(record);
  }

  private isBefore(a: Micros, b: Micros): boolean {
    return this.direction === 1 ? a < b : a > b;
  }

  private compare(a: FoundLog, b: FoundLog): number {
    if (a.timestamp !== b.timestamp) return this.isBefore(a.timestamp, b.timestamp) ? -1 : 1;
    if (a.segment.first_timestamp !== b.segment.first_timestamp)
      return a.segment.first_timestamp - b.segment.first_timestamp;
    if (a.segment.digest !== b.segment.digest) return a.segment.digest < b.segment.digest ? -1 : 1;
    return a.place - b.place;
  }
}

/** About how many bytes a record has in memory. */
function bytesOf({ message = "", name = "" }: Partial<LogRecord>): number {
  return RECORD_BYTES + byteLength(message) + byteLength(name);
}

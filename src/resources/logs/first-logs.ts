/** Finds the first logs in an order of time, of any number of logs, in bounded memory. Pure. */
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
  record: Partial<LogRecord> | number;
}

interface Entry extends FoundLog {
  timestamp: Micros;
}

/** How many bytes of records are kept. Other records are left out, and are read again if the page has them. */
const MAX_KEPT_BYTES = 2_000_000;

/** The bytes of a record without its texts. */
const RECORD_BYTES = 200;

/** The columns of a segment in an order: the time of its first and of its last record. */
export function endsIn(sort: LogSort) {
  return sort === "TIMESTAMP_ASC"
    ? ({ near: "first_timestamp", far: "last_timestamp" } as const)
    : ({ near: "last_timestamp", far: "first_timestamp" } as const);
}

/** The first `most` logs of those that are added. Holds at most twice as many. */
export class FirstLogs {
  private readonly direction: 1 | -1;
  private readonly most: number;
  private entries: Entry[] = [];
  private keptBytes = 0;
  /** The time of the last of the first logs, when the entries were last cut. Later additions can only make it earlier. */
  private last: Micros | null = null;

  constructor(sort: LogSort, most: number) {
    this.direction = sort === "TIMESTAMP_ASC" ? 1 : -1;
    this.most = most;
  }

  add(segment: Closed, place: number, record: Partial<LogRecord>): void {
    const bytes = bytesOf(record);
    const isKept = bytes <= LONG_BYTES && this.keptBytes + bytes <= MAX_KEPT_BYTES;
    if (isKept) this.keptBytes += bytes;
    this.entries.push({
      segment,
      place,
      timestamp: record.timestamp ?? Number.NEGATIVE_INFINITY,
      record: isKept ? record : bytes,
    });
    if (this.entries.length >= 2 * this.most) this.cut();
  }

  /** Whether the first logs are known, if all logs that are still to come are not before `next`. */
  isComplete(next: Micros): boolean {
    if (this.entries.length < this.most) return false;
    if (this.last === null) this.cut();
    return this.last !== null && this.direction * (this.last - next) < 0;
  }

  /** The first logs in their order, from an offset. */
  from(offset: number): FoundLog[] {
    this.cut();
    return this.entries.slice(offset);
  }

  private cut(): void {
    this.entries.sort((a, b) => this.compare(a, b));
    for (const { record } of this.entries.splice(this.most)) if (!isLeftOut(record)) this.keptBytes -= bytesOf(record);
    this.last = this.entries[this.most - 1]?.timestamp ?? null;
  }

  private compare(a: Entry, b: Entry): number {
    // The difference of two times before all others is not a number.
    if (a.timestamp !== b.timestamp) return a.timestamp < b.timestamp ? -this.direction : this.direction;
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

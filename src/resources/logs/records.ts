/** Opens segments of logs: reads their packed records from D1 and unpacks them, a bounded number of bytes at a time. */
import { sql } from "drizzle-orm";
import { type Packed, packedColumn, unpack } from "#db/packed";
import { each } from "#db/sql";
import { log_segment, type LogRecord } from "#db/tables/log";
import { WorkspaceStore } from "#db/workspace-store";
import { chunksBySize } from "#lib/chunks";
import type { Micros } from "#lib/clock";
import { checkDepth, STORED_JSON_DEPTH } from "#lib/json";
import { isObject } from "#lib/json-value";
import { log } from "#lib/log";
import { Work } from "#lib/work";

/** A segment's key within its workspace. */
export interface LogSegmentKey {
  run_id: string;
  first_timestamp: Micros;
  digest: string;
}

/** What is known about a segment that is not open. */
export interface Closed extends LogSegmentKey {
  /** The number of bytes of the packed records. */
  bytes: number;
  /** The packed records, if they were read with the key. */
  packed?: Packed | null;
}

/** A record as it is stored. An old row may have a record that lacks fields (`{}`), or that is no object (null). */
type StoredRecord = Partial<LogRecord> | null;

/** An open segment. The records are null if they cannot be read. */
export interface Opened<C extends Closed = Closed> {
  segment: C;
  records: StoredRecord[] | null;
}

/** How many bytes of packed records one read returns, unless one segment has more. */
const MAX_READ_BYTES = 500_000;
/**
 * The work of opening a segment, apart from its records, in characters. Opening a segment of one line takes about 30 µs,
 * of which 25 µs are for the start of zlib with its dictionary. So 20,000 lines in segments of one line take 0.6 s, and
 * in segments of a hundred lines 0.1 s.
 */
const CHARACTERS_PER_SEGMENT = 2_500;
/** A segment has at most 1 MB of records, or a single record of 1.9 MB. More bytes are damage. */
const MAX_BYTES = 4_000_000;

/** The segments of one workspace. */
export class LogSegmentReader extends WorkspaceStore {
  /** The runs of segments that did not exist any more. */
  readonly missed = new Set<string>();

  /**
   * Opens segments in their order. Only one segment's records are in memory at a time. A segment that was deleted
   * meanwhile is left out. `isEnough` is asked before each segment, and may end the work.
   */
  async *open<C extends Closed>(
    segments: readonly C[],
    isEnough: (next: C) => boolean = () => false,
  ): AsyncGenerator<Opened<C>, undefined> {
    const work = new Work();
    for (const group of groupsOf(segments)) {
      if (group[0] && isEnough(group[0])) return;
      const packed = await this.read(group);
      for (const [index, segment] of group.entries()) {
        if (isEnough(segment)) return;
        const value = packed[index];
        if (value === undefined) {
          this.missed.add(segment.run_id);
          continue;
        }
        const { records, characters } = unpackRecords(segment, value);
        yield { segment, records };
        await work.add(characters + CHARACTERS_PER_SEGMENT);
      }
    }
  }

  /** The packed records of segments, each at the index of its segment. Undefined for a segment that does not exist. */
  private async read(segments: readonly Closed[]): Promise<(Packed | undefined)[]> {
    if (segments.every(({ packed }) => typeof packed === "string"))
      return segments.map(({ packed }) => packed ?? undefined);
    const keys = segments.map(({ run_id, first_timestamp, digest }) => [run_id, first_timestamp, digest]);
    const rows = await this.db.rows<{ place: number; packed: Packed }>(sql`
      select k.key as place, ${packedColumn("s.records")} as packed from ${each(keys)} k
      cross join ${log_segment} s on s.workspace_id = ${this.workspaceId}
        and s.run_id = k.value ->> 0 and s.first_timestamp = k.value ->> 1 and s.digest = k.value ->> 2`);
    const found = new Map(rows.map(({ place, packed }) => [place, packed]));
    return segments.map((_, place) => found.get(place));
  }
}

/** The segments in groups, each for one read. The first group has the segments whose records were read already. */
function groupsOf<C extends Closed>(segments: readonly C[]): C[][] {
  const isRead = ({ packed }: C) => typeof packed === "string";
  const firstUnread = segments.findIndex((segment) => !isRead(segment));
  if (firstUnread < 0) return [[...segments]];
  const unread = chunksBySize(segments.slice(firstUnread), MAX_READ_BYTES, ({ bytes }) => bytes);
  return firstUnread === 0 ? unread : [segments.slice(0, firstUnread), ...unread];
}

/** A segment that cannot be read is logged, so that it does not fail other segments. */
function unpackRecords(
  { run_id, digest }: LogSegmentKey,
  packed: Packed,
): { records: StoredRecord[] | null; characters: number } {
  try {
    const text = unpack(packed, MAX_BYTES);
    checkDepth(text, STORED_JSON_DEPTH);
    const records: unknown = JSON.parse(text);
    if (!Array.isArray(records)) throw new TypeError("a segment is a list of records");
    return { records: records.map(toRecord), characters: text.length };
  } catch (error) {
    log({}, "error", "a segment of logs cannot be opened and is passed over", { run_id, digest, error });
    return { records: null, characters: packed.length };
  }
}

/** The types of the fields that are used. */
const TYPES = Object.entries({ id: "string", name: "string", level: "number", message: "string", timestamp: "number" });

/** Leaves out the fields of an old record that have another type. */
export function toRecord(value: unknown): StoredRecord {
  if (!isObject(value)) return null;
  for (const [field, type] of TYPES) if (typeof value[field] !== type) delete value[field];
  return value;
}

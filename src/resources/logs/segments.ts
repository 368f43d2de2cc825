/** Makes segments of logs: rows with many logs of one run and minute. Pure. */
import { createHash } from "node:crypto";
import { pack } from "#db/packed";
import { type log_segment, type LogRecord, minuteOf } from "#db/tables/log";
import type { Ids, Micros } from "#lib/clock";
import type { LogCreate } from "#resources/logs/schema";
import { byteLength } from "#lib/bytes";
import { chunksBySize } from "#lib/chunks";
import { canonicalUuid } from "#wire/ids";

/** A row of the table, without its workspace. */
export type LogSegment = Omit<typeof log_segment.$inferInsert, "workspace_id">;

/** A segment with its records. */
interface BuiltSegment {
  row: LogSegment;
  records: LogRecord[];
}

/**
 * How many bytes of records a segment has at most, unless one record alone has more. There is no least size for packing:
 * with lines of the stock client, segments of 1, 10 and 100 lines have 175, 2,000 and 20,600 bytes as text, and 69, 410
 * and 2,700 bytes packed. The key and the other columns of a row have 130 bytes.
 */
const MAX_SEGMENT_BYTES = 1_000_000;
/** How many bytes of a message's JSON are kept. A row of D1 has 2 MB. The stock client cuts its logs at 1 MB of JSON. */
const MAX_MESSAGE_BYTES = 1_900_000;

/**
 * Makes segments of a batch of logs, each of one run and minute. The digest is made from the logs without their new
 * ids, so that a repeated request gives the same keys.
 */
export function buildLogSegments(logs: readonly LogCreate[], now: Micros, ids: Ids): BuiltSegment[] {
  const byRun = Map.groupBy(logs, (log) => log.flow_run_id ?? log.task_run_id ?? "");
  const parts = [...byRun].flatMap(([runId, ofRun]) =>
    [...Map.groupBy(ofRun, (log) => minuteOf(log.timestamp)).values()]
      .flatMap((ofMinute) => chunksBySize(ofMinute, MAX_SEGMENT_BYTES, sizeOf))
      .map((part) => ({ runId, part })),
  );
  return parts.map(({ runId, part }, place) => {
    const records = part.map(toRecord);
    const times = records.map((record) => record.timestamp);
    const levels = records.map((record) => record.level);
    const named = records.map((record) => ({ id: ids.ordered(now), ...record }));
    const row = {
      run_id: runId,
      first_timestamp: smallest(times),
      digest: digestOf(JSON.stringify([place, records])),
      last_timestamp: largest(times),
      min_level: smallest(levels),
      max_level: largest(levels),
      record_count: records.length,
      records: pack(JSON.stringify(named)),
    };
    return { row, records: named };
  });
}

// A batch may have more logs than a function call may have arguments.
const smallest = (values: readonly number[]): number => values.reduce((a, b) => Math.min(a, b));
const largest = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b));

function toRecord(log: LogCreate): Omit<LogRecord, "id"> {
  return {
    // Prefect: null bytes are removed, because Postgres does not store them.
    name: log.name.replaceAll("\0", ""),
    level: log.level,
    message: cut(log.message.replaceAll("\0", "")),
    timestamp: log.timestamp,
    ...(log.task_run_id && { task_run_id: log.task_run_id }),
    ...(!log.flow_run_id && { no_flow_run: 1 }),
  };
}

/** How many bytes a record may have more than its log. Most of these bytes are the record's id. */
const ID_BYTES = 70;
const sizeOf = (log: LogCreate): number => byteLength(JSON.stringify(log)) + ID_BYTES;

/** A message that is too large for a row is cut, and its end says so. */
function cut(message: string): string {
  if (isKept(message)) return message;
  const mark = `… (cut: ${message.length} characters)`;
  let kept = 0;
  for (let step = 2 ** Math.floor(Math.log2(message.length)); step >= 1; step /= 2) {
    if (isKept(message.slice(0, kept + step) + mark)) kept += step;
  }
  // A character that JavaScript stores as two units is not cut in the middle.
  return message.slice(0, kept).replace(/[\uD800-\uDBFF]$/, "") + mark;
}

/** Whether the message is kept whole. One character takes one to six bytes of JSON. */
function isKept(message: string): boolean {
  if (message.length * 6 < MAX_MESSAGE_BYTES) return true;
  return message.length < MAX_MESSAGE_BYTES && byteLength(JSON.stringify(message)) <= MAX_MESSAGE_BYTES;
}

/** A digest in the shape of a UUID. */
function digestOf(text: string): string {
  return canonicalUuid(createHash("sha256").update(text).digest("hex").slice(0, 32));
}

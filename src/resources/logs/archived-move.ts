/** Moves segments of logs from D1 to the archive: a bundle is written and checked, then one transaction replaces the segments. */
import { sql } from "drizzle-orm";
import { BundleBuilder } from "#archive/bundle";
import { logsPrefix } from "#archive/keys";
import type { Archive } from "#archive/store";
import { type Packed, packedColumn } from "#db/packed";
import { columnLists, each } from "#db/sql";
import { deleteSegments, log_archive, log_restored_run, log_segment } from "#db/tables/log";
import { chunksBySize } from "#lib/chunks";
import type { Micros } from "#lib/clock";
import { log } from "#lib/log";
import { digitsOf } from "#resources/logs/archived-bundles";
import { bytesOf, makePart, MAX_PART_BYTES, type MovingSegment, readMoving } from "#resources/logs/archived-parts";
import type { Tools } from "#tools";

/** A segment that is to move, and its run. */
export interface MovingKey {
  run_id: string;
  first_timestamp: Micros;
  digest: string;
  /** The number of bytes of the packed records. */
  bytes: number;
  /** The start and the end of the run. */
  start: Micros;
  end: Micros;
}

/** The tools of a move. */
export type MoveTools = Tools & { archive: Archive };

/** A segment as it was read. `form` and `octets` are the type and the size of its records in the row. */
interface ReadRow extends Omit<MovingSegment, "json"> {
  packed: Packed;
  form: "text" | "blob";
  octets: number;
}

interface Made {
  builder: BundleBuilder;
  /** The segments in the bundle. */
  moved: (ReadRow & { start: Micros; end: Micros })[];
}

/** How many bytes of packed segments are read at once. */
const MAX_READ_BYTES = 1_000_000;

const COLUMNS = columnLists(log_archive, { runs: "unhex(value ->> '$.runs')" });

/**
 * Moves segments as one bundle; the segments of a run are neighbours, in the order of their key. Returns how many
 * have moved; null if one of them was changed or moved by somebody else meanwhile, so that all of them stay. A segment
 * that cannot be read exactly stays, too.
 */
export async function moveLogs(tools: MoveTools, segments: readonly MovingKey[]): Promise<number | null> {
  const made = await makeBundle(tools, segments);
  if (made === "full") {
    const middle = Math.ceil(segments.length / 2);
    const first = await moveLogs(tools, segments.slice(0, middle));
    const second = await moveLogs(tools, segments.slice(middle));
    return first === null || second === null ? null : first + second;
  }
  if (made.moved.length === 0) return 0;
  const row = { ...rowOf(made), id: tools.ids.ordered(tools.clock()), workspace_id: tools.workspaceId };
  const prefix = logsPrefix(tools.workspaceId, row.first_start);
  const address = await tools.archive.write(prefix, made.builder.build(row.id));
  const isMoved = await commit(tools, { ...row, ...address }, made.moved);
  // If the outcome is unknown, `commit` throws, and a sweep removes the object if no row has its address.
  if (isMoved) return made.moved.length;
  await tools.archive.delete([address.key]);
  return null;
}

/** Reads segments, and makes a bundle of them. "full" if no bundle has room for them. */
async function makeBundle(tools: Tools, segments: readonly MovingKey[]): Promise<Made | "full"> {
  const made: Made = { builder: new BundleBuilder(), moved: [] };
  let waiting: MovingSegment[] = [];
  let bytes = 0;
  const close = (): boolean => {
    const [first, ...others] = waiting;
    waiting = [];
    bytes = 0;
    if (!first) return true;
    const { header, content } = makePart([first, ...others]);
    return made.builder.add(header, content);
  };
  for (const group of chunksBySize(segments, MAX_READ_BYTES, (segment) => segment.bytes)) {
    for (const { key, row, json } of await read(tools, group)) {
      const segment = { ...row, json };
      const isOther = waiting[0]?.run_id !== row.run_id || bytes + bytesOf(segment) > MAX_PART_BYTES;
      if (isOther && !close()) return "full";
      waiting.push(segment);
      bytes += bytesOf(segment);
      made.moved.push({ ...row, start: key.start, end: key.end });
    }
    // A timer lets the process handle its other requests.
    await scheduler.wait(1);
  }
  return close() ? made : "full";
}

/** Reads segments in their order, without those that are gone or cannot be read exactly. */
async function read({ db, workspaceId }: Tools, keys: readonly MovingKey[]) {
  const asked = each(keys.map(({ run_id, first_timestamp, digest }) => [run_id, first_timestamp, digest]));
  const rows = await db.rows<ReadRow & { place: number }>(sql`
    select k.key as place, s.run_id, s.first_timestamp, s.digest, s.last_timestamp, s.min_level, s.max_level,
      s.record_count, ${packedColumn("s.records")} as packed, typeof(s.records) as form,
      octet_length(s.records) as octets
    from ${asked} k cross join ${log_segment} s on s.workspace_id = ${workspaceId} and s.run_id = k.value ->> 0
      and s.first_timestamp = k.value ->> 1 and s.digest = k.value ->> 2 order by k.key`);
  return rows.flatMap(({ place, ...row }) => {
    const key = keys[place];
    const json = jsonOf(row);
    return key && json !== null ? [{ key, row: { ...row, packed: "" }, json }] : [];
  });
}

function jsonOf({ run_id, digest, packed }: ReadRow): string | null {
  try {
    return readMoving(packed);
  } catch (error) {
    log({}, "error", "a segment of logs cannot be read exactly and does not move", { run_id, digest, error });
    return null;
  }
}

function rowOf({ moved }: Made) {
  const least = (of: (row: Made["moved"][number]) => number) => moved.map(of).reduce((a, b) => Math.min(a, b));
  const most = (of: (row: Made["moved"][number]) => number) => moved.map(of).reduce((a, b) => Math.max(a, b));
  return {
    first_start: least(({ start }) => start),
    last_start: most(({ start }) => start),
    last_end: most(({ end }) => end),
    first_timestamp: least(({ first_timestamp }) => first_timestamp),
    last_timestamp: most(({ last_timestamp }) => last_timestamp),
    log_count: moved.reduce((sum, { record_count }) => sum + record_count, 0),
    runs: [...new Set(moved.map(({ run_id }) => run_id))].map(digitsOf).join(""),
  };
}

/** Replaces the segments by the address of their bundle, if all of them are as they were read. Returns whether they were. */
async function commit(
  { db, workspaceId, clock }: Tools,
  row: typeof log_archive.$inferInsert,
  moved: readonly ReadRow[],
): Promise<boolean> {
  const asked = each(moved.map((one) => [one.run_id, one.first_timestamp, one.digest, one.form, one.octets]));
  const unchanged = sql`(select count(*) from ${asked} k cross join ${log_segment} s
    on s.workspace_id = ${workspaceId} and s.run_id = k.value ->> 0 and s.first_timestamp = k.value ->> 1
      and s.digest = k.value ->> 2 and typeof(s.records) = k.value ->> 3 and octet_length(s.records) = k.value ->> 4)`;
  const isMoved = sql`exists (select 1 from ${log_archive} a
    where a.workspace_id = ${workspaceId} and a.first_start = ${row.first_start} and a.id = ${row.id})`;
  const [inserted] = await db.batch([
    sql`insert into ${log_archive} (${COLUMNS.columns}) select ${COLUMNS.values} from ${each([row])}
      where ${unchanged} = ${moved.length}`,
    ...deleteSegments(workspaceId, moved, () => isMoved),
    sql`delete from ${log_restored_run} where workspace_id = ${workspaceId} and until <= ${clock()}`,
  ]);
  return inserted?.changes === 1;
}

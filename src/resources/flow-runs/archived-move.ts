/**
 * Moves runs from D1 to the archive: a bundle is written and checked, then one transaction replaces the rows of the runs by their
 * addresses. A run that has changed meanwhile stays, and the others move.
 */
import { type SQL, sql } from "drizzle-orm";
import { BundleBuilder } from "#archive/bundle";
import { runsPrefix } from "#archive/keys";
import { shortId, shortWorkspace } from "#db/short/ids";
import { each } from "#db/sql";
import { flow_run } from "#db/tables/flow-run";
import { log_restored_run } from "#db/tables/log";
import { archived_run, run_archive } from "#db/tables/run-archive";
import { chunksBySize } from "#lib/chunks";
import type { Micros } from "#lib/clock";
import { log } from "#lib/log";
import { makePart, MAX_PART_BYTES, type MovingRow, TABLE_NAMES } from "#resources/flow-runs/archived-parts";
import { deleteRowsOf, printOf, readRowsOf, sizeOfPrint } from "#resources/flow-runs/archived-rows";
import { takeOutRuns } from "#resources/flow-runs/delete-flow-run";
import type { MoveTools } from "#resources/logs/archived-move";

/** The largest run that moves, in bytes of its rows. A reader has all of it in memory, and a restore writes it in one transaction. */
export const MAX_RUN_BYTES = 12_000_000;
/** How many rows and bytes of runs one transaction moves, unless a single run has more. Other transactions wait for it. */
const MAX_ROWS = 5_000;
const MAX_BYTES = 6_000_000;

/** A run that is to move, as it was when the move began. */
interface Candidate {
  id: string;
  start: Micros;
  end: Micros;
  /** The prints of its rows, in the order of `TABLE_NAMES`. */
  prints: readonly string[];
  rows: number;
  bytes: number;
}

/**
 * Moves the runs that meet a condition on a run `r`, and gives the ids of those that have moved. A run with more than `MAX_RUN_BYTES`
 * stays, and is logged. The logs of the runs stay where they are. Throws 503 if the archive cannot be reached.
 */
export async function moveFlowRuns(tools: MoveTools, ids: readonly string[], only: SQL): Promise<string[]> {
  // The runs are looked at before their unsent events are sent. So a state that is added afterwards is noticed.
  const candidates = await readCandidates(tools, ids, only);
  const moved: string[] = [];
  for (const byRows of chunksBySize(candidates, MAX_ROWS, ({ rows }) => rows)) {
    for (const group of chunksBySize(byRows, MAX_BYTES, ({ bytes }) => bytes))
      moved.push(...(await moveGroup(tools, group, only)));
  }
  return moved;
}

async function readCandidates({ db, workspaceId }: MoveTools, ids: readonly string[], only: SQL): Promise<Candidate[]> {
  const prints = TABLE_NAMES.map(
    (name, place) => sql`${printOf(name, workspaceId, sql`k.value`)} as ${sql.raw(`print_${place}`)}`,
  );
  const found = await db.rows<Record<string, string | number>>(sql`
    select r.id, coalesce(r.start_time, r.expected_start_time, r.end_time) as start, r.end_time as end,
      ${sql.join(prints, sql`, `)}
    from ${each(ids)} k cross join ${flow_run} r on r.workspace_id = ${workspaceId} and r.id = k.value
    where ${only} order by k.key`);
  return found.flatMap((row) => {
    const id = String(row["id"]);
    const own = TABLE_NAMES.map((_, place) => String(row[`print_${place}`]));
    const sizes = own.map(sizeOfPrint);
    const bytes = sizes.reduce((sum, size) => sum + size.bytes, 0);
    if (bytes > MAX_RUN_BYTES) {
      log({ workspaceId }, "warn", "a run is too large for the archive and stays in D1", { flow_run_id: id, bytes });
      return [];
    }
    const rows = sizes.reduce((sum, size) => sum + size.rows, 0);
    return { id, start: Number(row["start"]), end: Number(row["end"]), prints: own, rows, bytes };
  });
}

/** Moves runs as one bundle. */
async function moveGroup(tools: MoveTools, group: readonly Candidate[], only: SQL): Promise<string[]> {
  const byId = new Map(group.map((run) => [run.id, run]));
  let isFull = false;
  const moved = await takeOutRuns(tools, [...byId.keys()], async (present) => {
    const runs = present.flatMap(({ id }) => byId.get(id) ?? []);
    const builder = await makeBundle(tools, runs);
    isFull = builder === null;
    return builder ? writeAndCommit(tools, builder, runs, only) : new Set();
  });
  if (!isFull) return moved;
  const middle = Math.ceil(group.length / 2);
  if (group.length === 1) throw new RangeError("no bundle has room for the run");
  return [
    ...(await moveGroup(tools, group.slice(0, middle), only)),
    ...(await moveGroup(tools, group.slice(middle), only)),
  ];
}

/** Reads runs, and makes a bundle of them. Null if no bundle has room for them. */
async function makeBundle(tools: MoveTools, runs: readonly Candidate[]): Promise<BundleBuilder | null> {
  const builder = new BundleBuilder();
  let waiting: MovingRow[] = [];
  let bytes = 0;
  let of = "";
  const close = (): boolean => {
    if (waiting.length === 0) return true;
    const { header, content } = makePart(of, waiting);
    waiting = [];
    bytes = 0;
    return builder.add(header, content);
  };
  for await (const { id, rows } of readRowsOf(tools, runs)) {
    for (const row of rows) {
      const own = bytesOf(row);
      if ((of !== id || bytes + own > MAX_PART_BYTES) && !close()) return null;
      of = id;
      waiting.push(row);
      bytes += own;
    }
  }
  return close() ? builder : null;
}

const bytesOf = ({ row }: MovingRow): number =>
  Object.values(row).reduce<number>((sum, value) => sum + (typeof value === "string" ? value.length + 3 : 10), 0);

/** Writes a bundle, and commits the move. Returns the ids of the runs that have moved. */
async function writeAndCommit(
  tools: MoveTools,
  builder: BundleBuilder,
  runs: readonly Candidate[],
  only: SQL,
): Promise<ReadonlySet<string>> {
  if (runs.length === 0) return new Set();
  const { workspaceId, archive, ids, clock } = tools;
  const id = ids.ordered(clock());
  const first_end = runs.map(({ end }) => end).reduce((a, b) => Math.min(a, b));
  const address = await archive.write(runsPrefix(workspaceId, first_end), builder.build(id));
  const moved = await commit(tools, { id, first_end, ...address }, runs, only);
  // If the outcome is unknown, `commit` throws, and a sweep removes the object if no row has its address.
  if (moved.size === 0) await archive.delete([address.key]);
  return moved;
}

type NewBundle = Pick<
  typeof run_archive.$inferInsert,
  "id" | "first_end" | "key" | "bytes" | "index_at" | "index_digest"
>;

/** Replaces the runs that are as they were read. */
async function commit(
  { db, workspaceId, clock }: MoveTools,
  bundle: NewBundle,
  runs: readonly Candidate[],
  only: SQL,
): Promise<ReadonlySet<string>> {
  const own = shortWorkspace(workspaceId);
  const { id, first_end, key, bytes, index_at, index_digest } = bundle;
  const last_end = runs.map(({ end }) => end).reduce((a, b) => Math.max(a, b));
  const asked = each(runs.map((run) => [run.id, run.start, ...run.prints]));
  const isAsRead = TABLE_NAMES.map(
    (name, place) =>
      sql`${printOf(name, workspaceId, sql`(k.value ->> 0)`)} = k.value ->> ${sql.raw(String(place + 2))}`,
  );
  const inBundle = sql`${each(runs.map((run) => run.id))} k cross join ${archived_run} a
    on a.workspace_id = ${own} and a.id = ${shortId(sql`k.value`)} and a.bundle = ${shortId(id)}`;
  const digits = runs.map((run) => run.id.replaceAll("-", "")).join("");
  const results = await db.batch([
    sql`insert into ${archived_run} (workspace_id, id, start, first_end, bundle)
      select ${own}, ${shortId(sql`k.value ->> 0`)}, k.value ->> 1, ${first_end}, ${shortId(id)}
      from ${asked} k cross join ${flow_run} r on r.workspace_id = ${workspaceId} and r.id = k.value ->> 0
      where ${only} and ${sql.join(isAsRead, sql` and `)} on conflict do nothing`,
    sql`insert into ${run_archive}
        (workspace_id, first_end, id, last_end, key, bytes, index_at, index_digest, run_count, runs)
      select ${workspaceId}, ${first_end}, ${shortId(id)}, ${last_end}, ${key}, ${bytes}, ${index_at}, ${index_digest},
        moved.count, unhex(${digits})
      from (select count(*) as count from ${inBundle}) moved where moved.count > 0`,
    sql`delete from ${log_restored_run} where workspace_id = ${workspaceId} and until <= ${clock()}`,
    ...deleteRowsOf(workspaceId, sql`(select k.value as value from ${inBundle})`),
  ]);
  return new Set(results.at(-1)?.rows.map((row) => String(row["id"])));
}

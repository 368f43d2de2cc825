/** The bytes that a server has stored, by table, and the bytes that each run of a replay adds. */
import { setTimeout as sleep } from "node:timers/promises";

import { countR2Bytes, findD1File, readDatabase } from "./data-folder.ts";
import { sum } from "./measure.ts";

/** One table of D1: the whole table, or what one run adds to it. */
export interface TableStorage {
  name: string;
  /** The bytes of the table's pages. */
  tableBytes: number;
  /** The bytes of the pages of all its indexes. */
  indexBytes: number;
  rows: number;
  /** The bytes of the rows themselves, without the rest of their pages. */
  rowBytes: number;
  /** Pages with the ends of rows and index entries that are too long for a page of the b-tree. */
  overflowPages: number;
  /** The bytes of the table's and the indexes' pages that hold nothing. */
  unusedBytes: number;
}

/** All that a server has stored, or what one run adds to it. */
export interface Storage {
  tables: TableStorage[];
  /** The bytes of D1's pages that belong to no table. They are the first that D1 fills. */
  freeBytes: number;
  r2Bytes: number;
  /** The bytes of JSON of the events that D1 has packed. */
  packedJsonBytes: number;
}

/**
 * When the bytes of a replay are counted: while D1 has the events of the runs, or after the runs were moved to the
 * archive.
 */
export type Phase = "events kept" | "archived";

/** The bytes that one run of a replay has added until a phase. */
export interface RunStorage extends Storage {
  phase: Phase;
}

/** Counts the bytes that a replay adds to the data of a server. */
export interface StorageMeter {
  /**
   * Waits until the server has written everything. May be called for several phases of the same runs. If a phase also
   * changes older runs, bring those runs into the phase before the meter starts.
   */
  measure(phase: Phase, runs: number): Promise<RunStorage>;
}

interface Snapshot extends Storage {
  /** The segments of events that the queue's consumer has not handled. */
  waitingSegments: number;
}

const READ_EVERY_MS = 1_000;
/** Longer than the queues' longest wait for a full batch (`max_batch_timeout` in `wrangler.toml`). */
const UNCHANGED_MS = 7_000;
const SETTLE_LIMIT_MS = 180_000;

/**
 * `dbstat` has a row for each page, with the name of the table or index that has the page. In a table without rowids
 * (`wr`), the inner pages of the b-tree have rows, too. Overflow pages and unused bytes include those of the indexes.
 */
const TABLES = `
  with page as materialized (select name, pagetype, ncell, payload, unused, pgsize from dbstat)
  select tree.tbl_name as name,
    sum(iif(tree.type = 'table', page.pgsize, 0)) as tableBytes,
    sum(iif(tree.type = 'index', page.pgsize, 0)) as indexBytes,
    sum(iif(tree.type = 'table' and (kind.wr or page.pagetype = 'leaf'), page.ncell, 0)) as rows,
    sum(iif(tree.type = 'table', page.payload, 0)) as rowBytes,
    sum(page.pagetype = 'overflow') as overflowPages,
    sum(page.unused) as unusedBytes
  from page
    join sqlite_schema tree on tree.name = page.name
    join pragma_table_list kind on kind.schema = 'main' and kind.name = tree.tbl_name
  group by tree.tbl_name order by tree.tbl_name`;
const FREE_BYTES = "select freelist_count * page_size as count from pragma_freelist_count, pragma_page_size";
/** The first entry of the column `resources` is the number of bytes of the events' JSON. */
const PACKED_JSON_BYTES =
  "select coalesce(sum(cast(substr(resources, 3) as integer)), 0) as count from event_segment where typeof(events) = 'blob'";
const WAITING_SEGMENTS = "select count(*) as count from event_segment where consumed = 0";

/** Waits until the server has written everything, and begins to count. */
export async function startStorageMeter(data: string): Promise<StorageMeter> {
  const before = await settledStorage(data);
  return {
    async measure(phase, runs) {
      return { phase, ...storagePerRun(before, await settledStorage(data), runs) };
    },
  };
}

/** The bytes of D1 that belong to tables. */
export function d1Bytes({ tables }: Storage): number {
  return sum(tables.map(({ tableBytes, indexBytes }) => tableBytes + indexBytes));
}

/** How many flow runs the server has stored. */
export function countFlowRuns(data: string): number {
  return readDatabase(findD1File(data), (database) =>
    Number(database.prepare("select count(*) as count from flow_run").get()?.["count"]),
  );
}

/**
 * Reads until the sizes do not change any more and no segment waits. Throws if that takes too long, e.g. because others
 * use the server.
 */
async function settledStorage(data: string): Promise<Storage> {
  const file = findD1File(data);
  const started = performance.now();
  let unchangedSince = started;
  let last = readStorage(data, file);
  while (performance.now() - unchangedSince < UNCHANGED_MS) {
    if (performance.now() - started > SETTLE_LIMIT_MS) {
      const waiting = `${last.waitingSegments} segments of events wait for the queue`;
      throw new Error(`the data in ${data} is not settled after ${SETTLE_LIMIT_MS / 1000} s: ${waiting}`);
    }
    await sleep(READ_EVERY_MS);
    const next = readStorage(data, file);
    const changed = JSON.stringify(next) !== JSON.stringify(last);
    if (changed || next.waitingSegments > 0) unchangedSince = performance.now();
    last = next;
  }
  return last;
}

function readStorage(data: string, file: string): Snapshot {
  return readDatabase(file, (database) => {
    const count = (query: string) => Number(database.prepare(query).get()?.["count"]);
    const tables = database.prepare(TABLES).all() as unknown as TableStorage[];
    return {
      tables,
      freeBytes: count(FREE_BYTES),
      r2Bytes: countR2Bytes(data),
      packedJsonBytes: count(PACKED_JSON_BYTES),
      waitingSegments: count(WAITING_SEGMENTS),
    };
  });
}

function storagePerRun(before: Storage, after: Storage, runs: number): Storage {
  return {
    tables: after.tables.map((table) => tablePerRun(before.tables, table, runs)),
    freeBytes: (after.freeBytes - before.freeBytes) / runs,
    r2Bytes: (after.r2Bytes - before.r2Bytes) / runs,
    packedJsonBytes: (after.packedJsonBytes - before.packedJsonBytes) / runs,
  };
}

function tablePerRun(tablesBefore: readonly TableStorage[], after: TableStorage, runs: number): TableStorage {
  const before = tablesBefore.find(({ name }) => name === after.name);
  const perRun = (figure: Exclude<keyof TableStorage, "name">) => (after[figure] - (before?.[figure] ?? 0)) / runs;
  return {
    name: after.name,
    tableBytes: perRun("tableBytes"),
    indexBytes: perRun("indexBytes"),
    rows: perRun("rows"),
    rowBytes: perRun("rowBytes"),
    overflowPages: perRun("overflowPages"),
    unusedBytes: perRun("unusedBytes"),
  };
}

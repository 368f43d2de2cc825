/**
 * Parts of the archive's bundles of runs. A part has rows of one run as they are in D1: for each table its name, its columns, and its
 * rows. A run with many rows has several parts, one after the other.
 */
import { Buffer } from "node:buffer";
import type { Entry } from "#archive/bundle";
import { columnsOf } from "#db/columns";
import { pack, toBytes, unpack } from "#db/packed";
import { FIRST_WORKSPACE, workspaceDigits } from "#db/short/ids";
import { artifact } from "#db/tables/artifact";
import { flow_run, flow_run_input, flow_run_state, flow_run_state_page } from "#db/tables/flow-run";
import { task_run } from "#db/tables/task-run";
import { canonicalUuid } from "#wire/ids";

/**
 * The tables with rows of a run that move with it, in the order in which they are written. Its logs move on their own. An artifact that is
 * the latest of its key stays in D1.
 */
export const RUN_TABLES = {
  flow_run,
  flow_run_state,
  flow_run_state_page,
  flow_run_input,
  task_run,
  artifact,
} as const;
export type TableName = keyof typeof RUN_TABLES;
export const TABLE_NAMES = Object.keys(RUN_TABLES) as TableName[];

/** A row of a table: each column with its value. JSON columns are texts, in the form in which they are stored. */
export type StoredRow = Record<string, string | number | null>;

/** The rows of a run, by their tables. */
export type RunRows = Readonly<Record<TableName, readonly StoredRow[]>>;

/** The columns of each table that may have ids in the short form, a BLOB. */
export const BLOB_COLUMNS = perTable((name) =>
  columnsOf(RUN_TABLES[name]).flatMap((column) => (column.idForm ? [column.name] : [])),
);

/**
 * The column of a moving row that says which of its `BLOB_COLUMNS` are BLOBs: a bit for each, the first column is 1. The values of these
 * columns are hexadecimal digits.
 */
export const BLOBS = "blobs";

/** A row on its way to or from the archive. */
export interface MovingRow {
  table: TableName;
  row: StoredRow;
}

/** How many bytes the rows of a part have, unless a single row has more. A reader opens whole parts. */
export const MAX_PART_BYTES = 1_000_000;

/** What an index says about a part: its run. */
export const runOf = ({ header }: Pick<Entry, "header">): string => String((header as unknown[])[0]);

/** Makes a part of rows of one run. */
export function makePart(runId: string, rows: readonly MovingRow[]): { header: unknown; content: Uint8Array } {
  const tables = [...Map.groupBy(rows, ({ table }) => table)].map(([table, own]) => {
    const columns = Object.keys(own[0]?.row ?? {});
    return [table, columns, ...own.map(({ row }) => columns.map((column) => row[column] ?? null))];
  });
  return { header: [runId], content: toBytes(pack(JSON.stringify(tables))) };
}

type TableLines = readonly [TableName, readonly string[], ...StoredRow[string][][]];

/** The rows of a part, as they were given to `makePart`. Throws if the part has rows of a table that this version does not know. */
export function openPart(content: Uint8Array): MovingRow[] {
  const tables = JSON.parse(unpack(content)) as readonly TableLines[];
  return tables.flatMap(([table, columns, ...lines]) => {
    if (!(table in RUN_TABLES)) throw new TypeError(`the part has rows of the unknown table ${table}`);
    return lines.map((line) => {
      const row: StoredRow = {};
      for (const [place, column] of columns.entries()) row[column] = line[place] ?? null;
      return { table, row };
    });
  });
}

/** The rows of a run as `Database` returns rows: short ids are texts. */
export function rowsAsRead(moved: readonly MovingRow[]): RunRows {
  const rows = Map.groupBy(moved, ({ table }) => table);
  return perTable((table) => (rows.get(table) ?? []).map(({ row }) => asRead(table, row)));
}

function asRead(table: TableName, { [BLOBS]: blobs, ...row }: StoredRow): StoredRow {
  for (const [place, column] of BLOB_COLUMNS[table].entries())
    if (isBlob(blobs, place)) row[column] = idOfDigits(String(row[column]));
  return row;
}

/** Whether the column at a place of `BLOB_COLUMNS` is a BLOB. */
export const isBlob = (blobs: StoredRow[string] | undefined, place: number): boolean =>
  ((Number(blobs ?? 0) >> place) & 1) === 1;

/** The id with this short form. */
function idOfDigits(digits: string): string {
  if (digits.length === 32) return canonicalUuid(digits);
  return digits === workspaceDigits(FIRST_WORKSPACE) ? FIRST_WORKSPACE : Buffer.from(digits, "hex").toString();
}

function perTable<T>(of: (table: TableName) => T): Record<TableName, T> {
  return Object.fromEntries(TABLE_NAMES.map((name) => [name, of(name)])) as Record<TableName, T>;
}

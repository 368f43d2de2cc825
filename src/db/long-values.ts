/**
 * Lists of rows that may be large. A run may have half a megabyte of parameters and as much in other columns. A page has 200 runs, and
 * an isolate has 128 MB for all requests. So a select of many rows skips long texts and returns their length. A row with such a text is
 * read as a whole just before the row is shown. Nearly always no text is long, and no row is read twice.
 */
import { getTableName, type SQL, sql } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import { columnsOf } from "#db/columns";
import type { Database } from "#db/database";
import { chunksBySize } from "#lib/chunks";
import type { Portions } from "#lib/portions";

/** The longest text, in bytes, that a list reads with its row. */
export const LONG_BYTES = 8_192;
/** How many bytes of skipped texts are read at once, unless a single row has more. In memory a text has more bytes. */
const PORTION_BYTES = 2_000_000;

/** The value of a column (`s.data`), or its number of bytes if the value is long. SQLite knows that number without reading the text. */
export function shortened(column: string, as: string): string {
  return `iif(octet_length(${column}) > ${LONG_BYTES}, octet_length(${column}), ${column}) as "${as}"`;
}

/** The columns of a table that users may make long. */
export function longColumns<T extends SQLiteTable>(table: T): (keyof T["$inferSelect"] & string)[] {
  return columnsOf(table).flatMap(({ name, isLong }) => (isLong ? [name] : []));
}

/** All columns of a table. The columns that users may make long are shortened. */
export function shortenedColumns(table: SQLiteTable): SQL {
  const columns = columnsOf(table).map(({ name, isLong }) => {
    const column = `"${getTableName(table)}"."${name}"`;
    return isLong ? shortened(column, name) : column;
  });
  return sql.raw(columns.join(", "));
}

/** Whether a text was skipped: then the value is the number of its bytes. */
export function isLeftOut(value: unknown): value is number {
  return typeof value === "number";
}

/**
 * Returns the rows with the skipped texts. `readWhole` reads rows as a whole, in any order. A row that was deleted
 * meanwhile is removed from the list.
 */
export function inPortions<Row>(
  rows: readonly Row[],
  long: readonly (keyof Row)[],
  keyOf: (row: Row) => string,
  readWhole: (keys: readonly string[]) => Promise<readonly Row[]>,
): Portions<Row> {
  const bytesOf = (row: Row) => {
    let bytes = 0;
    for (const column of long) if (isLeftOut(row[column])) bytes += row[column];
    return bytes;
  };
  return groupsBySize(rows, bytesOf).map((group) => async () => {
    const left = new Set(group.filter((row) => bytesOf(row) > 0).map(keyOf));
    if (left.size === 0) return group;
    const found = new Map((await readWhole([...left])).map((row) => [keyOf(row), row]));
    return group.flatMap((row) => (left.has(keyOf(row)) ? (found.get(keyOf(row)) ?? []) : row));
  });
}

/** Returns the rows of a table with the skipped texts. `among` is the condition that a row has one of the ids. */
export function rowsInFull<T extends SQLiteTable & { $inferSelect: { id: string } }>(
  db: Database,
  table: T,
  rows: readonly T["$inferSelect"][],
  among: (ids: readonly string[]) => SQL,
): Portions<T["$inferSelect"]> {
  return inPortions(
    rows,
    longColumns(table),
    ({ id }) => id,
    (ids) => db.rows<T["$inferSelect"]>(sql`select * from ${table} where ${among(ids)}`),
  );
}

/** Takes the ids and the sizes of rows, and returns the whole rows in the same order. For lists of any length. */
export function readBySize<Row extends { id: string }>(
  sizes: readonly { id: string; bytes: number }[],
  readWhole: (ids: readonly string[]) => Promise<readonly Row[]>,
): Portions<Row> {
  return groupsBySize(sizes, ({ bytes }) => bytes).map((group) => async () => {
    const found = new Map((await readWhole(group.map(({ id }) => id))).map((row) => [row.id, row]));
    return group.flatMap(({ id }) => found.get(id) ?? []);
  });
}

/** Returns the items in groups that may be read at once, in order, and at least one group. An item may have no bytes to read. */
function groupsBySize<T>(items: readonly T[], bytesOf: (item: T) => number): T[][] {
  return items.length === 0 ? [[]] : chunksBySize(items, PORTION_BYTES, bytesOf);
}

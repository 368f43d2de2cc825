/** Parts of statements that several stores need. D1 binds at most 100 values to a statement, so a list is bound as one JSON value. */
import { type SQL, sql, type SQLWrapper } from "drizzle-orm";
import type { SQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import { columnsOf, type StoredColumn } from "#db/columns";
import { shortWorkspaceOf, storedId } from "#db/short/ids";
import type { Micros } from "#lib/clock";

/** The values of a list as rows with a column `value`, for the `from` of a select: `from ${each(ids)} asked`. */
export function each(values: readonly unknown[]): SQL {
  return sql`json_each(${JSON.stringify(values)})`;
}

/** A list for a lookup: `where id in ${list(ids)}`. */
export function list(values: readonly unknown[]): SQL {
  return sql`(select value from ${each(values)})`;
}

/** A time as a part of the statement, where binding it several times would take too many of the values of a statement. */
export function inline(time: Micros): SQL {
  return Number.isInteger(time) ? sql.raw(time.toFixed(0)) : sql`${time}`;
}

/** The new value of a column `updated`. It is later than the present value, so that no two changes of a row have the same time. */
export function laterThan(column: SQLiteColumn, now: Micros): SQL {
  return sql`max(${column} + 1, ${now})`;
}

// If a JSON function of SQLite cannot read a text, the whole statement fails. A row may be older than the bounds, so such texts exist.
// The statement may be a list, a poll, or a sweep of all workspaces. So the next functions replace such a text by an empty one.

/** Whether a statement failed because a JSON function could not read a text. Large columns are checked only after such a failure. */
export function isUnreadable(error: unknown): boolean {
  return error instanceof Error && error.message.includes("malformed JSON");
}

/** A column of objects. A text that cannot be read becomes an empty object. */
export function asObject(column: SQLWrapper): SQL {
  return sql`iif(json_valid(${column}), ${column}, '{}')`;
}

/** A column of lists. A text that cannot be read becomes an empty list. */
export function asList(column: SQLWrapper): SQL {
  return sql`iif(json_valid(${column}), ${column}, '[]')`;
}

/** The value at a path (`$.id`) in a column (`r.created_by`); null if the column cannot be read. */
export function jsonValue(column: string, path: string): SQL {
  return sql.raw(`(iif(json_valid(${column}), ${column}, '{}') ->> '${path}')`);
}

/** The columns of a table, and their values in the JSON `value` of `json_each`. `instead` has other expressions for some columns. */
export function columnLists(table: SQLiteTable, instead: Record<string, string> = {}) {
  const columns = columnsOf(table);
  return {
    columns: sql.raw(columns.map(({ name }) => `"${name}"`).join(", ")),
    values: sql.raw(columns.map((column) => instead[column.name] ?? storedValue(column)).join(", ")),
  };
}

function storedValue({ name, idForm }: StoredColumn): string {
  const value = `(value ->> '$.${name}')`;
  if (idForm === undefined) return value;
  return idForm === "uuid" ? storedId(value) : shortWorkspaceOf(value);
}

/** Made once per table. */
const lists = new WeakMap<SQLiteTable, ReturnType<typeof columnLists>>();

/**
 * Inserts many rows, given as objects of column values (text, numbers, null). `tail` may be `on conflict …`. `guard` is
 * a condition on `value`, the row's JSON. With `guard` a row can depend on the earlier statements of the batch.
 */
export function insertRows<T extends SQLiteTable>(
  table: T,
  rows: readonly T["$inferInsert"][],
  { guard = sql`true`, tail = sql`` }: { guard?: SQL; tail?: SQL } = {},
): SQL {
  const ofTable = lists.get(table) ?? columnLists(table);
  lists.set(table, ofTable);
  return sql`insert into ${table} (${ofTable.columns}) select ${ofTable.values} from ${each(rows)} where ${guard} ${tail}`;
}

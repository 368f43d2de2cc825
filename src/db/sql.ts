/** Pieces of statements that many need. D1 binds 100 values to a statement, so a list goes in as one value, which is JSON. */
import { getTableColumns, type SQL, sql } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";

/** The values of a list as rows with a column `value`, to select from: `from ${each(ids)} asked`. */
export function each(values: readonly unknown[]): SQL {
  return sql`json_each(${JSON.stringify(values)})`;
}

/** A list to be looked up in: `where id in ${list(ids)}`. */
export function list(values: readonly unknown[]): SQL {
  return sql`(select value from ${each(values)})`;
}

/** The lists of an insert's columns and of the values that `json_each` gives for them, made once for a table. */
interface ColumnLists {
  columns: SQL;
  values: SQL;
}

const lists = new WeakMap<SQLiteTable, ColumnLists>();

/** The columns of a table, and their values in the JSON `value` of `json_each`; `instead` has other expressions for some columns. */
export function columnLists(table: SQLiteTable, instead: Record<string, string> = {}): ColumnLists {
  const names = Object.keys(getTableColumns(table));
  return {
    columns: sql.raw(names.map((name) => `"${name}"`).join(", ")),
    values: sql.raw(names.map((name) => instead[name] ?? `value ->> '$.${name}'`).join(", ")),
  };
}

/**
 * Inserts many rows, given as objects of column values (text, numbers, null). `tail` may be `on conflict …`; `guard` is a
 * condition on `value`, the row's JSON, which lets a row depend on what the batch has done before.
 */
export function insertRows<T extends SQLiteTable>(
  table: T,
  rows: readonly T["$inferInsert"][],
  { guard = sql`true`, tail = sql`` }: { guard?: SQL; tail?: SQL } = {},
): SQL {
  const { columns, values } = lists.get(table) ?? columnLists(table);
  lists.set(table, { columns, values });
  return sql`insert into ${table} (${columns}) select ${values} from ${each(rows)} where ${guard} ${tail}`;
}

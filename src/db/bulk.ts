/** Writes many rows with one bound value: D1 binds 100 values to a statement, and `json_each` takes any number of rows. */
import { getTableColumns, type SQL, sql } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import { each } from "#db/sql";

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
 * Inserts rows given as objects of column values (text, numbers, null). `tail` may be `on conflict …`; `guard` is a
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

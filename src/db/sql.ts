/** Pieces of statements that many need. D1 binds 100 values to a statement, so a list goes in as one value, which is JSON. */
import { type SQL, sql } from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import type { Micros } from "#lib/clock";

/** The values of a list as rows with a column `value`, to select from: `from ${each(ids)} asked`. */
export function each(values: readonly unknown[]): SQL {
  return sql`json_each(${JSON.stringify(values)})`;
}

/** A list to be looked up in: `where id in ${list(ids)}`. */
export function list(values: readonly unknown[]): SQL {
  return sql`(select value from ${each(values)})`;
}

/** The new value of a column `updated`: later than the present one, so that no two changes of a row leave the same time. */
export function laterThan(column: SQLiteColumn, now: Micros): SQL {
  return sql`max(${column} + 1, ${now})`;
}

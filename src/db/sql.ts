/** Pieces of statements that many need. D1 binds 100 values to a statement, so a list goes in as one value, which is JSON. */
import { type SQL, sql } from "drizzle-orm";

/** The values of a list as rows with a column `value`, to select from: `from ${each(ids)} asked`. */
export function each(values: readonly unknown[]): SQL {
  return sql`json_each(${JSON.stringify(values)})`;
}

/** A list to be looked up in: `where id in ${list(ids)}`. */
export function list(values: readonly unknown[]): SQL {
  return sql`(select value from ${each(values)})`;
}

/** JSON columns in statements that look over many rows: one that holds no JSON must not fail them all. */
import { type SQL, sql } from "drizzle-orm";

/** A value within a JSON column (`r.created_by`) by its path (`$.id`); null where the column holds no JSON that SQLite can read. */
export function jsonValue(column: string, path: string): SQL {
  return sql.raw(`(case when json_valid(${column}) then ${column} ->> '${path}' end)`);
}

/** A column with a JSON array, for `json_each`; an empty one where it holds no JSON. */
export function jsonArray(column: string): SQL {
  return sql.raw(`(case when json_valid(${column}) then ${column} else '[]' end)`);
}

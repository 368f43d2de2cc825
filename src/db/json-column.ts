/**
 * JSON columns as SQLite's JSON functions take them. One text that they cannot read, of a row from before there were bounds,
 * would fail the whole statement, and with it a list, a poll or a sweep of everybody's.
 */
import { type SQL, sql, type SQLWrapper } from "drizzle-orm";

/** Whether a statement failed because a JSON function could not read a text. Where the columns are large, they are looked at only then. */
export function isUnreadable(error: unknown): boolean {
  return error instanceof Error && error.message.includes("malformed JSON");
}

/** A column of objects; what cannot be read is an empty one. */
export function asObject(column: SQLWrapper): SQL {
  return sql`iif(json_valid(${column}), ${column}, '{}')`;
}

/** A column of lists; what cannot be read is an empty one. */
export function asList(column: SQLWrapper): SQL {
  return sql`iif(json_valid(${column}), ${column}, '[]')`;
}

/** A value within a column (`r.created_by`) by its path (`$.id`); null where the column cannot be read. */
export function jsonValue(column: string, path: string): SQL {
  return sql.raw(`(iif(json_valid(${column}), ${column}, '{}') ->> '${path}')`);
}

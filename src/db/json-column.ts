/**
 * JSON columns for SQLite's JSON functions. Where such a function cannot read a text (a row may be older than the bounds), the whole
 * statement fails, which may be a list, a poll, or a sweep of all workspaces. So such a text counts as empty here.
 */
import { type SQL, sql, type SQLWrapper } from "drizzle-orm";

/** Whether a statement failed because a JSON function could not read a text. Large columns are checked only after such a failure. */
export function isUnreadable(error: unknown): boolean {
  return error instanceof Error && error.message.includes("malformed JSON");
}

/** A column of objects; a text that cannot be read is an empty object. */
export function asObject(column: SQLWrapper): SQL {
  return sql`iif(json_valid(${column}), ${column}, '{}')`;
}

/** A column of lists; a text that cannot be read is an empty list. */
export function asList(column: SQLWrapper): SQL {
  return sql`iif(json_valid(${column}), ${column}, '[]')`;
}

/** A value within a column (`r.created_by`) by its path (`$.id`); null where the column cannot be read. */
export function jsonValue(column: string, path: string): SQL {
  return sql.raw(`(iif(json_valid(${column}), ${column}, '{}') ->> '${path}')`);
}

/**
 * The text and the values of a statement. drizzle's own printer takes 10 to 25 µs for a statement. If a statement has a part that this
 * file does not know, drizzle prints the statement. `sql.inlineParams()` is not known here, and no code uses it.
 */
import { Column, getTableName, Name, Param, SQL, type SQLChunk, StringChunk, Table } from "drizzle-orm";
import { SQLiteSyncDialect } from "drizzle-orm/sqlite-core";

/** A statement as D1 takes it. */
export interface Printed {
  sql: string;
  params: unknown[];
}

const dialect = new SQLiteSyncDialect();
const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;

/** Each table and column is printed once. */
const names = new WeakMap<Table | Column, string>();

function nameOf(of: Table | Column): string {
  const known = names.get(of);
  if (known !== undefined) return known;
  const name = of instanceof Column ? `${nameOf(of.table)}.${quoted(of.name)}` : quoted(getTableName(of));
  names.set(of, name);
  return name;
}

/** Prints a statement. Each value becomes a `?`. */
export function print(statement: SQL): Printed {
  const printed: Printed = { sql: "", params: [] };
  return add(printed, statement) ? printed : dialect.sqlToQuery(statement);
}

/** Adds a part of a statement. Returns false for a part that only drizzle knows. */
function add(printed: Printed, chunk: SQLChunk): boolean {
  if (chunk === null || typeof chunk !== "object") return chunk === undefined || bind(printed, chunk);
  if (chunk instanceof StringChunk) printed.sql += chunk.value.join("");
  else if (chunk instanceof SQL) return chunk.queryChunks.every((one) => add(printed, one));
  else if (chunk instanceof Column || chunk instanceof Table) printed.sql += nameOf(chunk);
  else if (chunk instanceof Name) printed.sql += quoted(chunk.value);
  else if (chunk instanceof Param)
    return bind(printed, chunk.value === null ? null : chunk.encoder.mapToDriverValue(chunk.value));
  else return false;
  return true;
}

function bind(printed: Printed, value: unknown): boolean {
  if (value !== null && typeof value === "object") return false;
  printed.sql += "?";
  printed.params.push(value);
  return true;
}

/** Columns with JSON that is stored in a short form. Rows that are older have the JSON itself. Both forms are read everywhere. */
import { readJson } from "#db/database";

/** The short form of a JSON column. */
export interface ShortForm {
  /** Returns the value of a stored text in either form. `row` has the other columns of the row. Never throws. */
  read: (text: string, row: Readonly<Record<string, unknown>>) => unknown;
  /** Returns the stored text of a value. */
  write: (value: unknown) => string;
}

/** The items of a text in the short form, which is always an array; undefined if the text is the JSON of an object. */
export function itemsOf(text: string): unknown[] | undefined {
  return text.startsWith("[") ? readJson<unknown[]>(text) : undefined;
}

/** The shorter of two texts. */
export function shorter(one: string, other: string): string {
  return one.length < other.length ? one : other;
}

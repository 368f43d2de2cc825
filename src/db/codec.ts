/**
 * Derives from the columns of a table: how answers show a row, the content of a new row, and the changes of a body. So
 * a new column is written only in its table and in the schemas of bodies and answers.
 */
import { sql, type SQL } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import { columnsOf, type Kind } from "#db/columns";
import { readJson } from "#db/database";
import { printDuration, printTime } from "#wire/dates";

type Columns<T extends SQLiteTable> = T["_"]["columns"];
type Row<T extends SQLiteTable> = T["$inferSelect"];

/** The names of a table's columns. */
type Name<T extends SQLiteTable> = keyof Row<T> & string;

/** The type of a column's value on the wire: `shown` in answers, `given` in bodies. */
type OnWire<T extends SQLiteTable, K extends Name<T>, Side extends "shown" | "given"> =
  Columns<T>[K]["_"] extends Record<Side, infer Value> ? Value : never;

/** A row, as answers show it. */
export type Shown<T extends SQLiteTable, Omitted extends Name<T> = never> = {
  [K in Exclude<Name<T>, Omitted>]: OnWire<T, K, "shown"> | Extract<Row<T>[K], null>;
};

/** Values of columns in code, before they are stored: JSON as values, flags as booleans, times in microseconds. */
export type Given<T extends SQLiteTable> = {
  [K in Name<T>]?: OnWire<T, K, "given"> | null | undefined;
};

/** Columns that have a default value in a new row. */
type Blank<T extends SQLiteTable> = {
  [K in Name<T>]: null extends Row<T>[K]
    ? K
    : Columns<T>[K]["_"]["columnType"] extends "flag" | "object" | "list"
      ? K
      : never;
}[Name<T>];

/** The columns that a new row must be given. */
type Needed<T extends SQLiteTable, Preset extends Name<T>> = {
  [K in Exclude<Name<T>, Blank<T> | Preset>]: OnWire<T, K, "given">;
};

/** Refuses fields that are neither columns nor other known fields. */
type NoOthers<Fields, Known extends PropertyKey> = Record<Exclude<keyof Fields, Known>, never>;

/** The facts that the columns of a table do not have. */
interface Exceptions<T extends SQLiteTable, Omitted extends Name<T>, Preset extends Name<T>> {
  /** Columns that answers do not show, or show in another way. */
  omit: readonly Omitted[];
  /** The stored values in a new row for columns with another default than null, false, or an empty object or list. */
  preset?: { [K in Preset]: Row<T>[K] };
}

/** The result of `codec` for a table. */
interface Codec<T extends SQLiteTable, Omitted extends Name<T>, Preset extends Name<T>> {
  /** A row, as answers show it. Never throws: a value that cannot be read is shown as an empty value. */
  print: (row: Row<T>) => Shown<T, Omitted>;
  /**
   * A new row. A column that is not given has its preset, or else is null, false or empty. The same holds for a column
   * that is given null and cannot be null.
   */
  blank: <Fields extends Given<T> & Needed<T, Preset>>(fields: Fields & NoOthers<Fields, Name<T>>) => Row<T>;
  /**
   * The columns that a body changes, as they are stored. A column that is not given is not changed. A column that cannot be null is not
   * changed if the body has null. `others` are fields that are not columns, or that are stored in another form than they are given.
   */
  changes: <Fields extends Given<T>, Other extends PropertyKey = never>(
    fields: Fields & NoOthers<Fields, Name<T> | Other>,
    others?: readonly Other[],
  ) => Partial<Row<T>>;
}

/** The conversions of the values of a kind that are not null. */
interface KindRules {
  /** How answers show the stored value. Default: unchanged. */
  print?: (value: never) => unknown;
  /** How the value is stored. Default: unchanged. */
  store?: (value: unknown) => unknown;
  /** The value in a new row of a column that cannot be null. */
  empty?: unknown;
}

/** Prints a stored value of a row. */
type Print = (value: unknown, row: object) => unknown;

const JSON_TEXT: KindRules = { print: readJson, store: (value) => JSON.stringify(value) };

const KINDS: Partial<Record<Kind, KindRules>> = {
  flag: { print: (value: number) => value === 1, store: (value) => (value ? 1 : 0), empty: 0 },
  micros: { print: printTime },
  duration: { print: printDuration },
  object: { ...JSON_TEXT, empty: "{}" },
  list: { ...JSON_TEXT, empty: "[]" },
  json: JSON_TEXT,
};

/** Whether a column is JSON as text. */
export const isJson = ({ columnType }: { columnType: string }): boolean =>
  ["object", "list", "json"].includes(columnType);

/** Makes the codec of a table. The caller makes a codec once and keeps it. */
export function codec<
  T extends SQLiteTable,
  const Omitted extends Name<T> = never,
  const Preset extends Name<T> = never,
>(table: T, { omit, preset }: Exceptions<T, Omitted, Preset>): Codec<T, Omitted, Preset> {
  const columns = columnsOf(table);
  const byName = new Map(columns.map((column) => [column.name, column]));
  const printers = columns
    .filter(({ name }) => !omit.some((omitted) => omitted === name))
    .map(({ name, kind, form }) => ({ name, print: (form?.read ?? KINDS[kind]?.print) as Print | undefined }));
  const blanks = {
    ...Object.fromEntries(columns.map(({ name, kind, notNull }) => [name, notNull ? KINDS[kind]?.empty : null])),
    ...preset,
  };

  function stored(fields: object, isOther: (name: string) => boolean): Record<string, unknown> {
    const values: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(fields)) {
      const column = byName.get(name);
      if (column === undefined || value === undefined || isOther(name)) continue;
      // A `json` column that cannot be null stores JSON's own null.
      const isNull = value === null && !(column.kind === "json" && column.notNull);
      if (!isNull) values[name] = (column.form?.write ?? KINDS[column.kind]?.store)?.(value) ?? value;
      else if (!column.notNull) values[name] = null;
    }
    return values;
  }

  return {
    print(row) {
      const shown: Record<string, unknown> = {};
      for (const { name, print } of printers) {
        const value: unknown = row[name];
        shown[name] = print === undefined || value === null ? value : print(value, row);
      }
      return shown as Shown<T, Omitted>;
    },
    blank: (fields) => ({ ...blanks, ...stored(fields, () => false) }),
    changes: (fields, others = []) => stored(fields, (name) => others.some((other) => other === name)),
  };
}

/** A row of a table, joined as `alias`, as a JSON object of its columns. D1 takes 32 arguments of a function, so 16 columns. */
export function jsonRow(table: SQLiteTable, alias: string): SQL {
  return sql.raw(
    `json_object(${columnsOf(table)
      .map(({ name }) => `'${name}', ${alias}."${name}"`)
      .join(", ")})`,
  );
}

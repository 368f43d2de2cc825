/**
 * The columns of all tables. In D1 a column is plain text, integer or real. The kind of a column says what its value is, and `db/codec.ts`
 * prints and stores the value by its kind. The name of a column is the key in its table, the same snake_case word as on the wire.
 */
import { type ColumnBuilderRuntimeConfig, entityKind, getTableColumns } from "drizzle-orm";
import { SQLiteColumn, SQLiteColumnBuilder, type SQLiteTable } from "drizzle-orm/sqlite-core";
import type { ShortForm } from "#db/short/form";
import type { Micros } from "#lib/clock";

/** The kind of a column's value. `object`, `list` and `json` are JSON as text. */
export type Kind = "text" | "uuid" | "integer" | "real" | "flag" | "micros" | "duration" | "object" | "list" | "json";

const SQL_TYPES: Partial<Record<Kind, string>> = {
  integer: "integer",
  flag: "integer",
  micros: "integer",
  duration: "integer",
  real: "real",
};

/** drizzle's type of a column. `Stored` is the column's type in a row. */
interface Config<K extends Kind, Stored> {
  name: "";
  dataType: "custom";
  columnType: K;
  data: Stored;
  driverParam: Stored;
  enumValues: undefined;
}

interface Options {
  /** Whether users may make the value so long that a list reads the value separately from its row (`db/long-values.ts`). */
  long?: boolean;
  /** The short form in which the JSON is stored. */
  form?: ShortForm;
  /** The short form in which ids are stored: the form of a UUID, or the form of a workspace's id (`db/short/ids.ts`). */
  id?: IdForm;
}

/** How a column stores ids. */
export type IdForm = "uuid" | "workspace";

/** `Shown` and `Given` are the types on the wire: `Shown` in answers, `Given` in bodies. */
class Builder<K extends Kind, Stored, Shown, Given> extends SQLiteColumnBuilder<
  Config<K, Stored>,
  Options,
  { shown: Shown; given: Given }
> {
  static override readonly [entityKind] = "SluiceColumnBuilder";

  constructor(kind: K, { long = false, form, id }: Options = {}) {
    super("", "custom", kind);
    this.config.long = long;
    if (form) this.config.form = form;
    if (id) this.config.id = id;
  }

  /** drizzle calls this method when the table is made. With `keyAsName` drizzle would look up the name for each statement. */
  build(table: SQLiteTable): StoredColumn {
    return new StoredColumn(table, { ...this.config, keyAsName: false });
  }
}

/** A column of a table. */
export class StoredColumn extends SQLiteColumn {
  static override readonly [entityKind] = "SluiceColumn";
  readonly kind: Kind;
  readonly isLong: boolean;
  readonly form: ShortForm | undefined;
  readonly idForm: IdForm | undefined;

  constructor(table: SQLiteTable, config: ColumnBuilderRuntimeConfig<unknown, Options>) {
    super(table, config);
    this.kind = config.columnType as Kind; // `Builder` has set this value.
    this.isLong = config.long === true;
    this.form = config.form;
    this.idForm = config.id;
  }

  /** The type that the column has in D1. */
  override getSQLType(): string {
    return SQL_TYPES[this.kind] ?? "text";
  }
}

/** The columns of a table, in their order. */
export function columnsOf(table: SQLiteTable): StoredColumn[] {
  return Object.values(getTableColumns(table)).filter((column) => column instanceof StoredColumn);
}

/** Text. */
export const text = (options?: Options) => new Builder<"text", string, string, string>("text", options);

/** A UUID as lowercase text; or in the short form, which `Database` returns as that text. */
export const uuid = (options?: Options) => new Builder<"uuid", string, string, string>("uuid", options);

/** An integer. */
export const integer = () => new Builder<"integer", number, number, number>("integer");

/** A number. */
export const real = () => new Builder<"real", number, number, number>("real");

/** 0 or 1; on the wire false or true. */
export const flag = () => new Builder<"flag", number, boolean, boolean>("flag");

/** A time in integer microseconds UTC; on the wire RFC 3339. */
export const micros = () => new Builder<"micros", Micros, string, Micros>("micros");

/** A length of time in integer microseconds; on the wire seconds. */
export const duration = () => new Builder<"duration", Micros, number, Micros>("duration");

/** Any JSON as text. */
export const json = <T = unknown>(options?: Options) => new Builder<"json", string, T, unknown>("json", options);

/** A JSON object as text. */
export const object = <T extends object = Record<string, unknown>>(options?: Options) =>
  new Builder<"object", string, T, object>("object", options);

/** A JSON array as text. */
export const list = <T>(options?: Options) => new Builder<"list", string, T[], readonly unknown[]>("list", options);

/** The workspace of a row. It is the first part of every key. */
export const workspaceId = () => uuid().notNull();

/** When the row was made and last changed. */
export const stamps = () => ({ created: micros().notNull(), updated: micros().notNull() });

/** The first columns of a table with ids: the workspace, the id, and the times when the row was made and last changed. */
export const entity = () => ({ workspace_id: workspaceId(), id: uuid().notNull(), ...stamps() });

/** The SQL of an object's storage, as the object and its components use it. */
import { spend, totalCost } from "#lib/cost";

/** A row of any table. */
export type SqlRow = Record<string, SqlStorageValue>;

/** Statements run synchronously. Each write is durable before the object sends anything. */
export class Sql {
  private readonly storage: SqlStorage;

  constructor(storage: SqlStorage) {
    this.storage = storage;
  }

  read<Row extends SqlRow>(statement: string, ...params: SqlStorageValue[]): Row[] {
    return this.storage.exec<Row>(statement, ...params).toArray();
  }

  /** Whole rows of a table. `from` is the table and the rest of the statement after the word `from`. A column `is_…` is a flag. */
  rows<Row>(from: string, ...params: SqlStorageValue[]): Row[] {
    const rows = this.read(`select * from ${from}`, ...params).map((row) =>
      Object.fromEntries(
        Object.entries(row).map(([column, value]) => [column, column.startsWith("is_") ? value === 1 : value]),
      ),
    );
    // The caller creates the table and knows its columns.
    return rows as Row[];
  }

  /** Counts the rows that the statement writes. Returns the rows that the statement returns. */
  write(statement: string, ...params: SqlStorageValue[]): SqlRow[] {
    const cursor = this.storage.exec(statement, ...params);
    const rows = cursor.toArray();
    spend(totalCost, { object_rows_written: cursor.rowsWritten });
    return rows;
  }

  /** Writes a row. If a row with the same key exists, updates these columns of that row. A flag is written as a number. */
  put<Row extends Record<keyof Row, SqlStorageValue | boolean>>(
    table: string,
    key: keyof Row & string,
    row: Row,
  ): void {
    const entries: [string, SqlStorageValue | boolean][] = Object.entries(row);
    const columns = entries.map(([column]) => column);
    const changes = columns.filter((column) => column !== key).map((column) => `${column} = excluded.${column}`);
    this.write(
      `insert into ${table} (${columns.join(", ")}) values (${columns.map(() => "?").join(", ")})
       on conflict (${key}) do update set ${changes.join(", ")}`,
      ...entries.map(([, value]) => (typeof value === "boolean" ? Number(value) : value)),
    );
  }
}

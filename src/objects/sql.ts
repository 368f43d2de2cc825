/** The SQL of an object's storage, as its components use it. */

/** A row of any table. */
export type SqlRow = Record<string, SqlStorageValue>;

/** Statements run at once, and each write is durable before anything leaves the object. */
export interface Sql {
  read<Row extends SqlRow>(statement: string, ...params: SqlStorageValue[]): Row[];
  /** Counts the rows that the statement writes; gives the rows that the statement returns. */
  write(statement: string, ...params: SqlStorageValue[]): SqlRow[];
}

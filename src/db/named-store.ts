/** Stores of things with an id and a name. The name is unique in a workspace. */
import { type SQL, sql } from "drizzle-orm";
import type { SQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import { rowsInFull, shortenedColumns } from "#db/long-values";
import { list } from "#db/sql";
import { WorkspaceStore } from "#db/workspace-store";
import type { Portions } from "#lib/portions";

type NamedTable = SQLiteTable & { workspace_id: SQLiteColumn; id: SQLiteColumn; name: SQLiteColumn } & {
  $inferSelect: { id: string };
};

/** The key of a thing: its id or its name. */
export type NamedKey = { id: string } | { name: string };

/** Returns the base class of the stores of one table. */
export function namedStore<T extends NamedTable>(table: T) {
  type Row = T["$inferSelect"];
  const columnsInList = shortenedColumns(table);

  return class extends WorkspaceStore {
    /** One row, or undefined. */
    async read(key: NamedKey): Promise<Row | undefined> {
      const [row] = await this.db.rows<Row>(sql`select * from ${table} where ${this.by(key)}`);
      return row;
    }

    /** A page of rows. `where` and `order` come from the filters. */
    async list(where: SQL, order: SQL, limit: number, offset: number): Promise<Portions<Row>> {
      const rows = await this.db.rows<Row>(
        sql`select ${columnsInList} from ${table} where ${where} order by ${order} limit ${limit} offset ${offset}`,
      );
      return rowsInFull(this.db, table, rows, (ids) => this.among(ids));
    }

    /** How many rows there are. */
    count(where: SQL): Promise<number> {
      return this.countRows(table, where);
    }

    /** Changes a row. Returns the changed row, or undefined if the row does not exist. */
    update(key: NamedKey, changes: Partial<Row>): Promise<Row | undefined> {
      return this.db.returned(this.db.build.update(table).set(changes).where(this.by(key)).returning());
    }

    private among(ids: readonly string[]): SQL {
      return sql`workspace_id = ${this.workspaceId} and id in ${list(ids)}`;
    }

    /** The condition that a row of the workspace has this key. */
    protected by(key: NamedKey): SQL {
      const named = "id" in key ? sql`${table.id} = ${key.id}` : sql`${table.name} = ${key.name}`;
      return sql`${table.workspace_id} = ${this.workspaceId} and ${named}`;
    }
  };
}

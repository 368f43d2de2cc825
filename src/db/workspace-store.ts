/** The common base of the stores. */
import { type SQL, sql } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import type { Database } from "#db/database";

/** The rows of one workspace. */
export class WorkspaceStore {
  readonly db: Database;
  readonly workspaceId: string;

  constructor({ db, workspaceId }: { db: Database; workspaceId: string }) {
    this.db = db;
    this.workspaceId = workspaceId;
  }

  /** How many rows of a table meet a condition. */
  protected async countRows(table: SQLiteTable, where: SQL): Promise<number> {
    const [row] = await this.db.rows<{ count: number }>(sql`select count(*) as count from ${table} where ${where}`);
    return row?.count ?? 0;
  }
}

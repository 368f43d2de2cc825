/** The common base of the stores. */
import { type SQL, sql } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import type { Database } from "#db/database";
import type { Clock, Ids } from "#lib/clock";

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

/** The workspace, a new id, and the present time as the time of creation and of the last change. */
export function newColumns({ workspaceId, ids, clock }: { workspaceId: string; ids: Ids; clock: Clock }) {
  const now = clock();
  return { workspace_id: workspaceId, id: ids.random(), created: now, updated: now };
}

/** The base of stores. */
import type { Database } from "#db/database";

/** Reads and writes rows of one workspace. */
export class Store {
  readonly db: Database;
  readonly workspaceId: string;

  constructor(db: Database, workspaceId: string) {
    this.db = db;
    this.workspaceId = workspaceId;
  }
}

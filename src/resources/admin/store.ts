/** Reads the size of the database, and the configuration values of a workspace. */
import { namedObject } from "#wire/named";
import { and, eq, sql } from "drizzle-orm";
import * as z from "zod";
import { type Database, readJson } from "#db/database";
import { configuration } from "#db/tables/variable";
import { WorkspaceStore } from "#db/workspace-store";

/** The maximum size of a D1 database, which Cloudflare never raises. */
export const MAX_DATABASE_BYTES = 10_000_000_000;

/** The database's size and its maximum size. `share` is the size divided by the maximum size. */
export const DatabaseSize = namedObject("DatabaseSize", {
  size_bytes: z.int(),
  limit_bytes: z.int(),
  share: z.number(),
});
export type DatabaseSize = z.output<typeof DatabaseSize>;

/** Reads the database's size. Each response of D1 has the size. */
export async function readDatabaseSize(db: Database, limit = MAX_DATABASE_BYTES): Promise<DatabaseSize> {
  await db.rows(sql`select 1`);
  if (db.size === null) throw new Error("D1 did not tell the database's size");
  return { size_bytes: db.size, limit_bytes: limit, share: db.size / limit };
}

/** The configuration values of one workspace, by key. */
export class ConfigurationStore extends WorkspaceStore {
  /** Reads the value, or undefined. Only the code that writes a key knows the value's type. */
  async read<T>(key: string): Promise<T | undefined> {
    const row = await this.db.first(this.db.build.select().from(configuration).where(this.by(key)));
    return row && readJson<T>(row.value);
  }

  /** Deletes the value, if there is one. */
  async remove(key: string): Promise<void> {
    await this.db.run(this.db.build.delete(configuration).where(this.by(key)));
  }

  private by(key: string) {
    return and(eq(configuration.workspace_id, this.workspaceId), eq(configuration.key, key));
  }
}

/** Reads the configuration values of a workspace. */
import { and, eq } from "drizzle-orm";
import { readJson } from "#db/database";
import { configuration } from "#db/tables/variable";
import { WorkspaceStore } from "#db/workspace-store";

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

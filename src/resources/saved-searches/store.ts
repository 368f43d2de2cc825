/** Saved searches in D1, of one workspace. */
import { sql } from "drizzle-orm";
import { codec } from "#db/codec";
import { type NamedKey, namedStore } from "#db/named-store";
import { saved_search } from "#db/tables/saved-search";

/** A row of the table `saved_search`. */
export type SavedSearchRow = typeof saved_search.$inferSelect;

/** Shows and makes rows of saved searches. */
export const savedSearches = codec(saved_search, { omit: ["workspace_id"] });

/** The saved searches of one workspace. */
export class SavedSearchStore extends namedStore(saved_search) {
  /** Writes a search. The search that has its name gets its filters. Returns the written row. */
  async put(row: SavedSearchRow): Promise<SavedSearchRow> {
    const { workspace_id, name } = saved_search;
    const written = await this.db.repeatable([
      this.db.build
        .insert(saved_search)
        .values(row)
        // Prefect: `updated` stays as it was.
        .onConflictDoUpdate({ target: [workspace_id, name], set: { filters: sql`excluded.filters` } })
        .returning(),
    ]);
    return (written[0]?.rows[0] as SavedSearchRow | undefined) ?? row;
  }

  /** Removes a search. Returns the removed row, or undefined if there is none. */
  remove(key: NamedKey): Promise<SavedSearchRow | undefined> {
    return this.db.returned(this.db.build.delete(saved_search).where(this.by(key)).returning());
  }
}

/** Definitions of concurrency limits in D1, of one workspace. */
import { sql } from "drizzle-orm";
import { type NamedKey, namedStore } from "#db/named-store";
import { type LimitRow, limits } from "#db/rows/concurrency-limits";
import { concurrency_limit } from "#db/tables/concurrency-limit";

/** Prefect: the name of a tag's limit begins with this prefix. */
export const TAG_PREFIX = "tag:";

/** The limits of one workspace. */
export class ConcurrencyLimitStore extends namedStore(concurrency_limit) {
  /** A page of limits by their names; with `onlyTags`, only limits of tags. */
  listByName(page: { limit: number; offset: number }, { onlyTags = false } = {}): Promise<LimitRow[]> {
    // A range of names, for the index: the first text after all texts with "tag:" is "tag;".
    const tags = onlyTags ? sql`and name >= 'tag:' and name < 'tag;'` : sql``;
    return this.db.rows<LimitRow>(
      sql`select * from ${concurrency_limit} where workspace_id = ${this.workspaceId} ${tags}
        order by name limit ${page.limit} offset ${page.offset}`,
    );
  }

  /** Writes a new limit. A name that is taken violates the table's unique index. */
  async insert(row: LimitRow): Promise<void> {
    await this.db.run(this.db.build.insert(concurrency_limit).values(row));
  }

  /** Writes a new limit. If the name is taken, the present row gets the new row's `limit`. Gives the written row. */
  upsert(row: LimitRow): Promise<LimitRow | undefined> {
    const { workspace_id, name } = concurrency_limit;
    const set = { limit: sql`excluded."limit"`, updated: sql`excluded.updated` };
    const target = [workspace_id, name];
    return this.db.returned(
      this.db.build.insert(concurrency_limit).values(row).onConflictDoUpdate({ target, set }).returning(),
    );
  }

  /** Removes a limit. Gives the removed row, or undefined if there is none. */
  remove(key: NamedKey): Promise<LimitRow | undefined> {
    return this.db.returned(this.db.build.delete(concurrency_limit).where(this.by(key)).returning());
  }
}

/** A limit as answers show it. */
export function printLimit(row: LimitRow, activeSlots: number) {
  return { ...limits.print(row), active_slots: activeSlots };
}

/** Definitions of concurrency limits in D1, of one workspace. */
import { sql, type SQL } from "drizzle-orm";
import type { Database } from "#db/database";
import { concurrency_limit } from "#db/tables/concurrency-limit";
import { printTime } from "#wire/dates";

/** A limit's definition. */
export type LimitRow = typeof concurrency_limit.$inferSelect;

/** How a limit is named by a caller: by its id or its name. */
export type LimitKey = { id: string } | { name: string };

/** What may be changed of a definition. */
export type LimitChanges = Partial<Pick<LimitRow, "name" | "limit" | "active" | "slot_decay_per_second">>;

/** Prefect: the names of tags' limits begin with it. */
export const TAG_PREFIX = "tag:";

/** The limits of one workspace. */
export class ConcurrencyLimitStore {
  readonly db: Database;
  readonly workspaceId: string;

  constructor(db: Database, workspaceId: string) {
    this.db = db;
    this.workspaceId = workspaceId;
  }

  /** One limit, or undefined. */
  async read(key: LimitKey): Promise<LimitRow | undefined> {
    const [row] = await this.db.rows<LimitRow>(sql`select * from ${concurrency_limit} where ${this.by(key)}`);
    return row;
  }

  /** A page of limits by their names; those of tags alone, if so asked. */
  list(page: { limit: number; offset: number }, { onlyTags = false } = {}): Promise<LimitRow[]> {
    // A range of names, for the index: what comes right after "tag:" is "tag;".
    const tags = onlyTags ? sql`and name >= 'tag:' and name < 'tag;'` : sql``;
    return this.db.rows<LimitRow>(
      sql`select * from ${concurrency_limit} where workspace_id = ${this.workspaceId} ${tags}
        order by name limit ${page.limit} offset ${page.offset}`,
    );
  }

  /** Writes a new limit. A name that is taken violates the table's unique index. */
  async insert(row: Omit<LimitRow, "workspace_id">): Promise<void> {
    await this.db.run(this.insertion(row));
  }

  /** Writes a new limit, or gives the one of this name the new one's limit; gives the row there is then. */
  async upsert(row: Omit<LimitRow, "workspace_id">): Promise<LimitRow | undefined> {
    const { rows } = await this.db.run(
      sql`${this.insertion(row)} on conflict (workspace_id, name)
        do update set "limit" = excluded."limit", updated = excluded.updated returning *`,
    );
    return rowOf(rows);
  }

  /** Changes a limit; gives it as it is then, or undefined. */
  async update(key: LimitKey, changes: LimitChanges, now: number): Promise<LimitRow | undefined> {
    const set = Object.entries(changes).map(([column, value]) => sql`, ${sql.identifier(column)} = ${value}`);
    const { rows } = await this.db.run(
      sql`update ${concurrency_limit} set updated = ${now}${sql.join(set, sql``)} where ${this.by(key)} returning *`,
    );
    return rowOf(rows);
  }

  /** Removes a limit; gives it, or undefined. */
  async remove(key: LimitKey): Promise<LimitRow | undefined> {
    const { rows } = await this.db.run(sql`delete from ${concurrency_limit} where ${this.by(key)} returning *`);
    return rowOf(rows);
  }

  private insertion(row: Omit<LimitRow, "workspace_id">): SQL {
    return sql`insert into ${concurrency_limit}
      (workspace_id, id, created, updated, name, "limit", active, slot_decay_per_second, avg_slot_occupancy_seconds)
      values (${this.workspaceId}, ${row.id}, ${row.created}, ${row.updated}, ${row.name}, ${row.limit}, ${row.active},
        ${row.slot_decay_per_second}, ${row.avg_slot_occupancy_seconds})`;
  }

  private by(key: LimitKey): SQL {
    const own = sql`workspace_id = ${this.workspaceId}`;
    return "id" in key ? sql`${own} and id = ${key.id}` : sql`${own} and name = ${key.name}`;
  }
}

/** The one row of a statement that returns all columns. */
const rowOf = (rows: readonly Record<string, unknown>[]) => rows[0] as LimitRow | undefined;

/** A limit as it is read. */
export function printLimit(row: LimitRow, activeSlots: number) {
  return {
    id: row.id,
    created: printTime(row.created),
    updated: printTime(row.updated),
    active: row.active === 1,
    name: row.name,
    limit: row.limit,
    active_slots: activeSlots,
    slot_decay_per_second: row.slot_decay_per_second,
  };
}

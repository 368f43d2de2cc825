/** Flows in D1, of one workspace. */
import { type SQL, sql } from "drizzle-orm";
import { insertRows } from "#db/bulk";
import { codec } from "#db/codec";
import type { Database } from "#db/database";
import { rowsInFull, shortenedColumns } from "#db/long-values";
import { flow } from "#db/tables/flow";
import type { Micros } from "#lib/clock";
import type { Portions } from "#lib/portions";

export type FlowRow = typeof flow.$inferSelect;

/** How a flow is named by a caller: by its id or its name. */
export type FlowKey = { id: string } | { name: string };

/** Shows and makes rows of flows. */
export const flows = codec(flow, { omit: ["workspace_id"] });

const IN_LIST = shortenedColumns(flow);

/** The flows of one workspace. */
export class FlowStore {
  readonly db: Database;
  readonly workspaceId: string;

  constructor(db: Database, workspaceId: string) {
    this.db = db;
    this.workspaceId = workspaceId;
  }

  /** Writes a flow unless its name is taken, and reads whoever has the name then. */
  async upsert(row: FlowRow): Promise<FlowRow> {
    const [, found] = await this.db.batch([
      insertRows(flow, [row], { tail: sql`on conflict do nothing` }),
      sql`select * from ${flow} where ${this.by({ name: row.name })}`,
    ]);
    const [present] = found?.rows ?? [];
    if (!present) throw new Error("a flow was neither written nor found");
    // `select *` of this very table.
    return present as FlowRow;
  }

  /** One flow, or undefined. */
  async read(key: FlowKey): Promise<FlowRow | undefined> {
    const [row] = await this.db.rows<FlowRow>(sql`select * from ${flow} where ${this.by(key)}`);
    return row;
  }

  /** A page of flows without long values: for what names them only, and for `inFull`. `where` and `order` come from the filters. */
  list(where: SQL, order: SQL, limit: number, offset: number): Promise<FlowRow[]> {
    return this.db.rows<FlowRow>(
      sql`select ${IN_LIST} from ${flow} where ${where} order by ${order} limit ${limit} offset ${offset}`,
    );
  }

  /** Flows that were read without long values, with them. */
  inFull(rows: readonly FlowRow[]): Portions<FlowRow> {
    return rowsInFull(this.db, flow, this.workspaceId, rows);
  }

  /** How many flows there are. */
  async count(where: SQL): Promise<number> {
    const [row] = await this.db.rows<{ count: number }>(sql`select count(*) as count from ${flow} where ${where}`);
    return row?.count ?? 0;
  }

  /** Gives a flow other tags, or none anew; the changed row, if there is one. */
  async update(id: string, tags: string | undefined, now: Micros): Promise<FlowRow | undefined> {
    const { rows } = await this.db.run(
      sql`update ${flow} set updated = ${now}, tags = coalesce(${tags ?? null}, tags) where ${this.by({ id })} returning *`,
    );
    return rows[0] as FlowRow | undefined; // `returning *` of this very table
  }

  private by(key: FlowKey): SQL {
    const named = "id" in key ? sql`${flow.id} = ${key.id}` : sql`${flow.name} = ${key.name}`;
    return sql`${flow.workspace_id} = ${this.workspaceId} and ${named}`;
  }
}

/** A flow as answers show it. */
export const printFlow = flows.print;

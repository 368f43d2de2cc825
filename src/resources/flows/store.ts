/** Flows in D1, of one workspace. */
import { type SQL, sql } from "drizzle-orm";
import { insertRows } from "#db/sql";
import { codec } from "#db/codec";
import type { Database } from "#db/database";
import { rowsInFull, shortenedColumns } from "#db/long-values";
import { flow } from "#db/tables/flow";
import type { Portions } from "#lib/portions";

export type FlowRow = typeof flow.$inferSelect;

/** What a caller knows a flow by. */
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

  /** Writes a flow unless its name is taken. Gives the flow that has the name then. */
  async upsert(row: FlowRow): Promise<FlowRow> {
    const [, found] = await this.db.batch([
      insertRows(flow, [row], { tail: sql`on conflict do nothing` }),
      sql`select * from ${flow} where ${this.by({ name: row.name })}`,
    ]);
    const present = found?.rows[0] as FlowRow | undefined; // `select *` of this very table
    if (!present) throw new Error("a flow was neither written nor found");
    return present;
  }

  /** One flow, or undefined. */
  async read(key: FlowKey): Promise<FlowRow | undefined> {
    const [row] = await this.db.rows<FlowRow>(sql`select * from ${flow} where ${this.by(key)}`);
    return row;
  }

  /** A page of flows without long values. `inFull` adds those. `where` and `order` come from the filters. */
  list(where: SQL, order: SQL, limit: number, offset: number): Promise<FlowRow[]> {
    return this.db.rows<FlowRow>(
      sql`select ${IN_LIST} from ${flow} where ${where} order by ${order} limit ${limit} offset ${offset}`,
    );
  }

  /** The same flows with their long values. */
  inFull(rows: readonly FlowRow[]): Portions<FlowRow> {
    return rowsInFull(this.db, flow, this.workspaceId, rows);
  }

  /** How many flows there are. */
  async count(where: SQL): Promise<number> {
    const [row] = await this.db.rows<{ count: number }>(sql`select count(*) as count from ${flow} where ${where}`);
    return row?.count ?? 0;
  }

  /** Changes a flow. Gives the changed row, if there is one. */
  update(id: string, changes: Partial<FlowRow>): Promise<FlowRow | undefined> {
    return this.db.returned(this.db.build.update(flow).set(changes).where(this.by({ id })).returning());
  }

  private by(key: FlowKey): SQL {
    const named = "id" in key ? sql`${flow.id} = ${key.id}` : sql`${flow.name} = ${key.name}`;
    return sql`${flow.workspace_id} = ${this.workspaceId} and ${named}`;
  }
}

/** A flow as answers show it. */
export const printFlow = flows.print;

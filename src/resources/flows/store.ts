/** Flows in D1, of one workspace. */
import { sql } from "drizzle-orm";
import { insertRows } from "#db/sql";
import { codec } from "#db/codec";
import { namedStore } from "#db/named-store";
import { flow } from "#db/tables/flow";

/** A row of the table `flow`. */
export type FlowRow = typeof flow.$inferSelect;

/** Shows, makes and changes rows of flows. */
export const flows = codec(flow, { omit: ["workspace_id"] });

/** The flows of one workspace. */
export class FlowStore extends namedStore(flow) {
  /** Writes a flow unless its name is taken. Gives the flow with this name. */
  async upsert(row: FlowRow): Promise<FlowRow> {
    const [, found] = await this.db.batch([
      insertRows(flow, [row], { tail: sql`on conflict do nothing` }),
      sql`select * from ${flow} where ${this.by({ name: row.name })}`,
    ]);
    const present = found?.rows[0] as FlowRow | undefined; // `select *` of this very table
    if (!present) throw new Error("a flow was neither written nor found");
    return present;
  }
}

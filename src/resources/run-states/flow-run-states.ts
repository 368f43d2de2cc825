/** States of flow runs in D1, of one workspace. */
import { sql } from "drizzle-orm";
import { readJson, readOptionalJson } from "#db/database";
import { readBySize } from "#db/long-values";
import { stateIdsOf } from "#db/state-pages";
import { flow_run_state } from "#db/tables/flow-run";
import { mapPortions, type Portions } from "#lib/portions";
import type { State, StateType } from "#wire/state";
import { list } from "#db/sql";
import { WorkspaceStore } from "#db/workspace-store";

const STATE_BYTES = sql.raw(
  "coalesce(octet_length(s.message), 0) + coalesce(octet_length(s.data), 0) + octet_length(s.state_details)",
);

type Row = Omit<typeof flow_run_state.$inferSelect, "type"> & { type: StateType };

/** The states of one workspace's flow runs. */
export class FlowRunStateStore extends WorkspaceStore {
  /** One state, or undefined. */
  async read(id: string): Promise<State | undefined> {
    const [row] = await this.db.rows<Row>(
      sql`select * from ${flow_run_state} where id = ${id} and workspace_id = ${this.workspaceId}`,
    );
    return row && stateOfRow(row);
  }

  /**
   * The states of a flow run, oldest first. The run's row knows their ids, so that states need no index. There is no bound on
   * how many a run has, so they are first read by their size alone.
   */
  async ofFlowRun(flowRunId: string): Promise<Portions<State>> {
    const sizes = await this.db.rows<{ id: string; bytes: number }>(
      sql`select s.id, ${STATE_BYTES} as bytes
        from ${stateIdsOf(sql`r.workspace_id = ${this.workspaceId} and r.id = ${flowRunId}`)} listed
        cross join ${flow_run_state} s on s.id = listed.id order by s.timestamp, listed.place`,
    );
    return mapPortions(
      readBySize(sizes, (ids) => this.readMany(ids)),
      (rows) => rows.map(stateOfRow),
    );
  }

  private readMany(ids: readonly string[]): Promise<Row[]> {
    return this.db.rows<Row>(sql`select * from ${flow_run_state} where id in ${list(ids)}`);
  }
}

/** A row as the state that it keeps. */
export function stateOfRow(row: Row): State {
  return {
    id: row.id,
    type: row.type,
    name: row.name,
    timestamp: row.timestamp,
    message: row.message,
    data: readOptionalJson<unknown>(row.data),
    state_details: readJson<State["state_details"]>(row.state_details),
  };
}

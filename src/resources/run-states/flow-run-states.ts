/** States of flow runs in D1, of one workspace. */
import { sql } from "drizzle-orm";
import { type Database, readJson, readOptionalJson } from "#db/database";
import { stateIdsOf } from "#db/state-pages";
import { flow_run_state } from "#db/tables/flow-run";
import type { State, StateType } from "#wire/state";

type Row = Omit<typeof flow_run_state.$inferSelect, "type"> & { type: StateType };

/** The states of one workspace's flow runs. */
export class FlowRunStateStore {
  readonly db: Database;
  readonly workspaceId: string;

  constructor(db: Database, workspaceId: string) {
    this.db = db;
    this.workspaceId = workspaceId;
  }

  /** One state, or undefined. */
  async read(id: string): Promise<State | undefined> {
    const [row] = await this.db.rows<Row>(
      sql`select * from ${flow_run_state} where id = ${id} and workspace_id = ${this.workspaceId}`,
    );
    return row && stateOfRow(row);
  }

  /** The states of a flow run, oldest first. The run's row knows their ids, so that states need no index. */
  async ofFlowRun(flowRunId: string): Promise<State[]> {
    const rows = await this.db.rows<Row>(
      sql`select s.* from ${stateIdsOf(sql`r.workspace_id = ${this.workspaceId} and r.id = ${flowRunId}`)} listed
        cross join ${flow_run_state} s on s.id = listed.id order by s.timestamp, listed.place`,
    );
    return rows.map(stateOfRow);
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

/** The inputs of flow runs in D1. */
import { type SQL, sql } from "drizzle-orm";
import { codec } from "#db/codec";
import type { Statement } from "#db/database";
import { inPortions, longColumns, shortenedColumns } from "#db/long-values";
import { flow_run, flow_run_input } from "#db/tables/flow-run";
import { type Portions } from "#lib/portions";
import { insertRows, list } from "#db/sql";
import { WorkspaceStore } from "#db/workspace-store";

/** A row of the table `flow_run_input`. */
type FlowRunInputRow = typeof flow_run_input.$inferSelect;

const IN_LIST = shortenedColumns(flow_run_input);

/** The inputs of one workspace's flow runs. */
export class FlowRunInputStore extends WorkspaceStore {
  /** Writes an input. Gives "taken" if the run has an input of this key, "no run" if the run does not exist. */
  async insert(row: FlowRunInputRow): Promise<"written" | "taken" | "no run"> {
    const guard = sql`exists (select 1 from ${this.run(row.flow_run_id)})`;
    const [, present, runs] = await this.db.repeatable([
      insertRows(flow_run_input, [row], { guard, tail: sql`on conflict do nothing` }),
      sql`select id from ${flow_run_input} where ${this.by(row.flow_run_id)} and key = ${row.key}`,
      sql`select 1 from ${this.run(row.flow_run_id)}`,
    ]);
    // An earlier try of this request may have written the row, so the ids are compared.
    if (present?.rows[0]?.["id"] === row.id) return "written";
    return runs?.rows.length ? "taken" : "no run";
  }

  /** Gives a statement that writes an input only if the run got this state in the same batch. */
  insertOnState(row: FlowRunInputRow, stateId: string): Statement {
    return insertRows(flow_run_input, [row], {
      guard: sql`exists (select 1 from ${this.run(row.flow_run_id)} and r.state_id = ${stateId})`,
      tail: sql`on conflict do nothing`,
    });
  }

  /** Reads one input, or undefined. */
  async read(flowRunId: string, key: string): Promise<FlowRunInputRow | undefined> {
    const [row] = await this.db.rows<FlowRunInputRow>(
      sql`select * from ${flow_run_input} where ${this.by(flowRunId)} and key = ${key}`,
    );
    return row;
  }

  /** Reads the inputs of a run with a key that matches and is not excluded. The oldest input comes first. */
  async list(
    flowRunId: string,
    matches: SQL,
    excludeKeys: readonly string[],
    limit: number,
  ): Promise<Portions<FlowRunInputRow>> {
    const rows = await this.db.rows<FlowRunInputRow>(
      sql`select ${IN_LIST} from ${flow_run_input} where ${this.by(flowRunId)} and ${matches}
        and key not in ${list(excludeKeys)} order by created, id limit ${limit}`,
    );
    return inPortions(
      rows,
      longColumns(flow_run_input),
      ({ key }) => key,
      (keys) =>
        this.db.rows<FlowRunInputRow>(sql`select * from ${flow_run_input} where ${this.by(flowRunId)}
          and key in ${list(keys)}`),
    );
  }

  /** Deletes an input. Gives whether the input existed. */
  async remove(flowRunId: string, key: string): Promise<boolean> {
    const { changes } = await this.db.run(
      sql`delete from ${flow_run_input} where ${this.by(flowRunId)} and key = ${key}`,
    );
    return changes > 0;
  }

  private by(flowRunId: string): SQL {
    return sql`${flow_run_input.workspace_id} = ${this.workspaceId} and ${flow_run_input.flow_run_id} = ${flowRunId}`;
  }

  private run(id: string): SQL {
    return sql`${flow_run} r where r.workspace_id = ${this.workspaceId} and r.id = ${id}`;
  }
}

/** An input as answers show it. */
export const printInput = codec(flow_run_input, { omit: ["workspace_id"] }).print;

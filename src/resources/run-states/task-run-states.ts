/** States of task runs in D1, of one workspace: JSON in the task runs' rows. */
import { type SQL, sql } from "drizzle-orm";
import { type Database, readJson } from "#db/database";
import { task_run } from "#db/tables/task-run";
import type { State } from "#wire/state";

/** The states of one workspace's task runs. */
export class TaskRunStateStore {
  readonly db: Database;
  readonly workspaceId: string;

  constructor(db: Database, workspaceId: string) {
    this.db = db;
    this.workspaceId = workspaceId;
  }

  /**
   * One state, or undefined. Nothing leads from a state to its task run, and no client asks this way: an index would be a
   * row for each state, so the task runs are gone through instead.
   */
  async read(id: string): Promise<State | undefined> {
    const states = await this.states(
      sql`select state.value as state from ${task_run} t join json_each(t.states) state
        where t.workspace_id = ${this.workspaceId} and instr(t.states, ${id}) > 0 and state.value ->> '$.id' = ${id} limit 1`,
    );
    return states[0];
  }

  /** Selects the states of a task run, oldest first, as JSON in `state`. */
  selectOfTaskRun(taskRunId: string): SQL {
    return sql`select state.value as state from ${task_run} t join json_each(t.states) state
      where t.workspace_id = ${this.workspaceId} and t.id = ${taskRunId} order by state.value ->> '$.timestamp', state.key`;
  }

  private async states(select: SQL): Promise<State[]> {
    return (await this.db.rows<{ state: string }>(select)).map(({ state }) => readJson<State>(state));
  }
}

/** States of task runs in D1, of one workspace: JSON in the task runs' rows. */
import { type SQL, sql } from "drizzle-orm";
import { readStates } from "#db/task-run-states";
import { task_run } from "#db/tables/task-run";
import { WorkspaceStore } from "#db/workspace-store";
import type { State } from "#wire/state";

/** The states of one workspace's task runs. */
export class TaskRunStateStore extends WorkspaceStore {
  /**
   * One state, or undefined. Nothing leads from a state to its task run, and no client asks this way: an index would be a
   * row for each state, so the task runs are gone through instead.
   */
  async read(id: string): Promise<State | undefined> {
    const rows = await this.db.rows<{ states: string }>(
      sql`select states from ${task_run} where workspace_id = ${this.workspaceId} and instr(states, ${id}) > 0`,
    );
    return rows.flatMap(({ states }) => readStates(states)).find((state) => state.id === id);
  }

  /** Selects a task run's column `states`. */
  selectOfTaskRun(taskRunId: string): SQL {
    return sql`select states from ${task_run} where workspace_id = ${this.workspaceId} and id = ${taskRunId}`;
  }
}

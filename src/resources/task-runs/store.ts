/** Task runs in D1, of one workspace: how they are read, and how a row becomes an answer. */
import { type SQL, sql } from "drizzle-orm";
import { readJson } from "#db/database";
import { TASK_RUN_IN_LIST, type TaskRunRow, taskRuns } from "#db/rows/task-runs";
import { estimatedRunTime, startTimeDelta } from "#db/run-estimates";
import { task_run } from "#db/tables/task-run";
import { readStates } from "#db/task-run-states";
import { WorkspaceStore } from "#db/workspace-store";
import type { Micros } from "#lib/clock";
import { printDuration } from "#wire/dates";
import { printState } from "#wire/state";

/** A page of task runs. `where` and `order` come from the filters. */
export interface Page {
  where: SQL;
  order: SQL;
  limit: number;
  offset: number;
}

/** The task runs of one workspace. */
export class TaskRunStore extends WorkspaceStore {
  /** Selects one task run. */
  selectOne(id: string): SQL {
    return sql`select * from ${task_run} where ${this.byId(id)}`;
  }

  /** Selects a page of task runs, without long values; see `taskRunsInFull`. */
  selectPage({ where, order, limit, offset }: Page): SQL {
    return sql`select ${TASK_RUN_IN_LIST} from ${task_run} where ${where} order by ${order} limit ${limit} offset ${offset}`;
  }

  /** Selects how many task runs there are, as `count`. */
  selectCount(where: SQL): SQL {
    return sql`select count(*) as count from ${task_run} where ${where}`;
  }

  /** Gives a task run another name, or none; whether there was such a run. */
  async rename(id: string, name: string | null, now: Micros): Promise<boolean> {
    const { changes } = await this.db.run(
      sql`update ${task_run} set name = coalesce(${name}, name), updated = ${now} where ${this.byId(id)}`,
    );
    return changes > 0;
  }

  /** Removes a task run; gives its tags, or undefined where there is none. */
  async remove(id: string): Promise<string[] | undefined> {
    const { rows } = await this.db.run(sql`delete from ${task_run} where ${this.byId(id)} returning tags`);
    return rows[0] && readJson<string[]>(String(rows[0]["tags"]));
  }

  private byId(id: string): SQL {
    return sql`${task_run.workspace_id} = ${this.workspaceId} and ${task_run.id} = ${id}`;
  }
}

/** A task run as answers show it. */
export function printTaskRun(row: TaskRunRow, now: Micros) {
  const state = readStates(row.states).find((one) => one.id === row.state_id) ?? null;
  return {
    ...taskRuns.print(row),
    empirical_policy: { ...EMPTY_POLICY, ...readJson<Record<string, unknown>>(row.empirical_policy) },
    estimated_run_time: printDuration(estimatedRunTime(row, state, now)),
    estimated_start_time_delta: printDuration(startTimeDelta(row, now)),
    state: state && printState(state),
  };
}

/** Every field of a policy, as pydantic prints its model. */
const EMPTY_POLICY = {
  max_retries: 0,
  retry_delay_seconds: 0,
  retries: null,
  retry_delay: null,
  retry_jitter_factor: null,
};

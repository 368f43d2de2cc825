/** The statements that apply a decision on a flow run: one batch, conditional on the state that was read. */
import { type SQL, sql } from "drizzle-orm";
import { insertRows } from "#db/bulk";
import { readJson } from "#db/database";
import { flow_run, flow_run_state } from "#db/tables/flow-run";
import { mergedStates } from "#db/task-run-states";
import { task_run } from "#db/tables/task-run";
import { decideTaskRun } from "#orchestration/decide";
import type { TaskRunRow } from "#orchestration/loaded";
import { MinimalTaskPolicy } from "#orchestration/policies";
import { storedState } from "#orchestration/predicates";
import type {
  Changes,
  Effect,
  FlowRunContext,
  RunContext,
  TaskRunColumns,
  TaskRunContext,
  TaskRunPolicy,
} from "#orchestration/transition";
import { newState, type State } from "#wire/state";

/** Column values of changes, as they are stored. */
export function storedChanges(
  changes: Changes<FlowRunContext> | Changes<TaskRunContext>,
): Record<string, string | number | null> {
  return Object.fromEntries(
    Object.entries(changes).map(([name, value]) => [
      name,
      typeof value === "object" && value !== null ? JSON.stringify(value) : (value as string | number | null),
    ]),
  );
}

/** A `set` list of column values. Only what changed is named, for each index over a named column is written anew. */
export function assignments(values: Record<string, string | number | null>): SQL {
  return sql.join(
    Object.entries(values).map(([name, value]) => sql`${sql.identifier(name)} = ${value}`),
    sql`, `,
  );
}

/** The values among `changes` that differ from the row's. */
export function changedOnly(
  row: object,
  changes: Record<string, string | number | null>,
): Record<string, string | number | null> {
  const present = new Map<string, unknown>(Object.entries(row));
  return Object.fromEntries(Object.entries(changes).filter(([name, value]) => present.get(name) !== value));
}

/** The row of a state. */
export function stateRow(workspaceId: string, flowRunId: string, of: State): typeof flow_run_state.$inferInsert {
  const state = storedState(of);
  return {
    id: state.id,
    workspace_id: workspaceId,
    flow_run_id: flowRunId,
    type: state.type,
    name: state.name,
    timestamp: state.timestamp,
    message: state.message,
    data: state.data === null ? null : JSON.stringify(state.data),
    state_details: JSON.stringify(state.state_details),
  };
}

/**
 * Inserts states of runs whose present state they are by now: after the update that won, never after one that lost. Done
 * twice, it is done once.
 */
export function insertStates(rows: readonly (typeof flow_run_state.$inferInsert)[]): SQL {
  return insertRows(flow_run_state, rows, {
    guard: sql`exists (select 1 from ${flow_run} r
      where r.workspace_id = value ->> '$.workspace_id' and r.id = value ->> '$.flow_run_id' and r.state_id = value ->> '$.id')`,
    tail: sql`on conflict do nothing`,
  });
}

/** How the parent's task run follows its subflow: what is written, and what it lets go of once it is. */
export interface ParentFollowing {
  statements: SQL[];
  effects: readonly Effect[];
}

/** How the parent's task run follows its subflow, if the decision wants it. */
export function followInParent(
  workspaceId: string,
  flowRunId: string,
  written: State,
  effects: readonly Effect[],
  parent: TaskRunRow | null,
  circumstances: Pick<RunContext, "now" | "ids" | "apiVersion" | "clientVersion" | "random" | "leaseId">,
): ParentFollowing {
  const effect = effects.find((one) => one.kind === "update-parent-task-run");
  if (!effect || !parent) return { statements: [], effects: [] };
  const context: TaskRunContext = {
    ...circumstances,
    kind: "task-run",
    run: taskRunColumnsOf(parent),
    initial: presentStateOf(parent),
    flowRun: null,
    cached: null,
    slots: null,
  };
  const proposed = newState(effect.state, circumstances.now, circumstances.ids);
  const decision = decideTaskRun(MinimalTaskPolicy, context, proposed);
  if (!decision.state) return { statements: [], effects: [] };
  // The batch of a creation may be written twice.
  const guard = sql`exists (select 1 from ${flow_run} r
    where r.workspace_id = ${workspaceId} and r.id = ${flowRunId} and r.state_id = ${written.id})
    and instr(states, ${decision.state.id}) = 0`;
  const statement = updateTaskRun(workspaceId, parent, decision.state, decision.changes, guard, circumstances.now);
  return { statements: [statement], effects: decision.effects };
}

/** The update of a task run to a new state; `guard` says what else must hold. */
export function updateTaskRun(
  workspaceId: string,
  row: TaskRunRow,
  state: State,
  changes: Changes<TaskRunContext>,
  guard: SQL,
  now: number,
): SQL {
  const values = { ...changedOnly(row, storedChanges(changes)), state_id: state.id, updated: now };
  const states = mergedStates(sql`${JSON.stringify([storedState(state)])}`);
  return sql`update ${task_run} set ${assignments(values)}, states = ${states}
    where workspace_id = ${workspaceId} and id = ${row.id} and ${guard}`;
}

/** The task run as rules see it. */
export function taskRunColumnsOf(row: TaskRunRow): TaskRunColumns {
  return {
    id: row.id,
    flow_run_id: row.flow_run_id,
    tags: readJson<string[]>(row.tags),
    state_type: row.state_type as TaskRunColumns["state_type"],
    state_name: row.state_name,
    state_timestamp: row.state_timestamp,
    start_time: row.start_time,
    end_time: row.end_time,
    expected_start_time: row.expected_start_time,
    next_scheduled_start_time: row.next_scheduled_start_time,
    total_run_time: row.total_run_time,
    run_count: row.run_count,
    flow_run_run_count: row.flow_run_run_count,
    empirical_policy: readJson<TaskRunPolicy>(row.empirical_policy),
  };
}

/** The present state of a task run, out of its states. */
export function presentStateOf(row: Pick<TaskRunRow, "states" | "state_id">): State | null {
  return readJson<State[]>(row.states).find((state) => state.id === row.state_id) ?? null;
}

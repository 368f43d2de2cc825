/** The statements that write a decision on a run. */
import { type SQL, sql } from "drizzle-orm";
import { insertRows } from "#db/sql";
import type { TaskRunRow } from "#db/rows/task-runs";
import { flow_run, flow_run_state } from "#db/tables/flow-run";
import { shortDetails } from "#db/short/details";
import type { ShortForm } from "#db/short/form";
import { isId, shortId, uuidText } from "#db/short/ids";
import { taskPolicyForm } from "#db/short/policy";
import { shortStates } from "#db/short/states";
import { digitsOf } from "#db/short/uuid";
import { beginningOf, mergedStates } from "#db/task-run-states";
import { isTaskRun } from "#db/task-run-keys";
import { task_run } from "#db/tables/task-run";
import type { Micros } from "#lib/clock";
import { taskRunContext } from "#orchestration/context";
import { decideTaskRun } from "#orchestration/decide";
import { MinimalTaskPolicy } from "#orchestration/policies";
import { storedState } from "#orchestration/predicates";
import type { Changes, Effect, FlowRunContext, TaskRunContext } from "#orchestration/transition";
import type { Tools } from "#tools";
import { newState, type State } from "#wire/state";

/** Columns of a row and their new values. */
export type ColumnValues = Record<string, string | number | null>;

/** The changes of a decision as the columns store them. `policyForm` is the form of the run's policy. */
export function storedChanges(
  { empirical_policy, ...changes }: Changes<FlowRunContext> | Changes<TaskRunContext>,
  policyForm: ShortForm,
): ColumnValues {
  return { ...changes, ...(empirical_policy && { empirical_policy: policyForm.write(empirical_policy) }) };
}

/** The list of an update's `set`. The list should name only columns that change, because SQLite rewrites each index over a named column. */
export function assignments(values: ColumnValues): SQL {
  return sql.join(
    Object.entries(values).map(([name, value]) => sql`${sql.identifier(name)} = ${value}`),
    sql`, `,
  );
}

/** The values that differ from the row's values. */
export function changedOnly(row: object, values: ColumnValues): ColumnValues {
  const present = new Map<string, unknown>(Object.entries(row));
  return Object.fromEntries(Object.entries(values).filter(([name, value]) => present.get(name) !== value));
}

/** The row of a flow run's state. */
export function stateRow(workspaceId: string, flowRunId: string, of: State): typeof flow_run_state.$inferInsert {
  const state = storedState(of);
  return {
    ...state,
    workspace_id: workspaceId,
    flow_run_id: flowRunId,
    data: state.data === null ? null : JSON.stringify(state.data),
    state_details: JSON.stringify(shortDetails(state.state_details, { flow_run_id: flowRunId })),
  };
}

/**
 * Inserts the rows of states. A state is inserted only if it is the present state of its run, because the run's update,
 * which comes first in the batch, may change nothing. A repeated insert changes nothing.
 */
export function insertStates(rows: readonly (typeof flow_run_state.$inferInsert)[]): SQL {
  return insertRows(flow_run_state, rows, {
    guard: sql`exists (select 1 from ${flow_run} r
      where r.workspace_id = value ->> '$.workspace_id' and r.id = value ->> '$.flow_run_id' and r.state_id = value ->> '$.id')`,
    tail: sql`on conflict do nothing`,
  });
}

/** The update of a subflow's parent task run, and the effects after the update is written. */
export interface ParentUpdate {
  statements: SQL[];
  effects: readonly Effect[];
}

/**
 * Gives the parent's task run the state of its subflow, if a decision has that effect. `written` is the subflow's new
 * state. The statement changes nothing unless the subflow is in that state.
 */
export function parentUpdate(
  tools: Tools,
  flowRunId: string,
  written: { state: State; effects: readonly Effect[] },
  parent: TaskRunRow | null,
  now: Micros,
): ParentUpdate {
  const effect = written.effects.find((one) => one.kind === "update-parent-task-run");
  if (!effect || !parent) return { statements: [], effects: [] };
  const proposed = newState(effect.state, now, tools.ids);
  const { state, changes, effects } = decideTaskRun(
    MinimalTaskPolicy,
    taskRunContext(tools, parent, { now }),
    proposed,
  );
  if (!state) return { statements: [], effects: [] };
  // The batch that creates a subflow may be written twice.
  const guard = sql`exists (select 1 from ${flow_run} r
    where r.workspace_id = ${tools.workspaceId} and r.id = ${flowRunId} and r.state_id = ${written.state.id})
    and not coalesce(${isId("state_id", state.id)}, false) and instr(states, ${state.id}) = 0 and instr(states, ${digitsOf(state.id)}) = 0`;
  return { statements: [updateTaskRun(tools.workspaceId, parent, state, changes, guard, now)], effects };
}

/** The update of a task run to a new state. `guard` is one more condition of the update. */
export function updateTaskRun(
  workspaceId: string,
  row: TaskRunRow,
  state: State,
  changes: Changes<TaskRunContext>,
  guard: SQL,
  now: Micros,
): SQL {
  const values = { ...changedOnly(row, storedChanges(changes, taskPolicyForm)), updated: now };
  const stored = JSON.stringify(shortStates([storedState(state)], { ...row, state_id: null }));
  const beginning = sql`${beginningOf(state)}`;
  const states = mergedStates({
    states: sql`${stored}`,
    row: "task_run",
    beginning,
    flowRunId: uuidText("task_run.flow_run_id"),
  });
  return sql`update ${task_run} set ${assignments(values)}, state_id = ${shortId(state.id)}, states = ${states}
    where ${isTaskRun(workspaceId, row.id)} and ${guard}`;
}

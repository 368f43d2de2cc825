/** Reads a flow run with all data for a decision on the run and for the event of its new state. */
import { sql } from "drizzle-orm";
import type { Database } from "#db/database";
import { type FlowRunRow, STATE_COLUMNS, type StateColumns } from "#db/rows/flow-runs";
import type { TaskRunRow } from "#db/rows/task-runs";
import { isTaskRunOf } from "#db/task-run-keys";
import { concurrency_limit } from "#db/tables/concurrency-limit";
import { deployment } from "#db/tables/deployment";
import { flow } from "#db/tables/flow";
import { flow_run, flow_run_state } from "#db/tables/flow-run";
import { task_run } from "#db/tables/task-run";
import { work_pool, work_queue } from "#db/tables/work-pool";
import { type FactColumns, type FlowRunFacts, readFacts } from "#events/lifecycle";
import type { State } from "#wire/state";

type DeploymentFacts = "deployment_name" | "deployment_tags";
type PoolFacts = "queue_name" | "pool_id" | "pool_name" | "pool_type";

/** The columns of the rows to which a run belongs: its flow, deployment, deployment's limit, work queue and work pool. */
export interface ContextColumns extends Pick<FactColumns, "flow_name" | "flow_tags" | DeploymentFacts | PoolFacts> {
  concurrency_options: string | null;
  reliability: string | null;
  limit_id: string | null;
  limit_slots: number | null;
}

/** The `ContextColumns` in SQL, over the joins f (flow), d (deployment), c (limit), q (work queue) and p (work pool). */
export const CONTEXT_COLUMNS = sql.raw(
  `f.name as flow_name, f.tags as flow_tags, d.name as deployment_name, d.tags as deployment_tags,
   d.concurrency_options as concurrency_options, d.reliability as reliability, d.concurrency_limit_id as limit_id,
   c."limit" as limit_slots, q.name as queue_name, p.id as pool_id, p.name as pool_name, p.type as pool_type`,
);

/** The row of a flow run, with its present state and its context. */
export type LoadedRow = FlowRunRow & StateColumns & ContextColumns;

/** A flow run and, for a subflow, the parent's task run. */
export interface LoadedFlowRun {
  row: LoadedRow;
  parentTaskRun: TaskRunRow | null;
}

/** Reads a flow run in one round trip; undefined for an unknown one. */
export async function loadFlowRun(db: Database, workspaceId: string, id: string): Promise<LoadedFlowRun | undefined> {
  const [rows, parents] = await db.readAll([
    sql`select ${flow_run}.*, ${STATE_COLUMNS}, ${CONTEXT_COLUMNS}
    from ${flow_run}
    left join ${flow_run_state} s on s.id = ${flow_run.state_id}
    left join ${flow} f on f.workspace_id = ${flow_run.workspace_id} and f.id = ${flow_run.flow_id}
    left join ${deployment} d on d.workspace_id = ${flow_run.workspace_id} and d.id = ${flow_run.deployment_id}
    left join ${concurrency_limit} c on c.workspace_id = d.workspace_id and c.id = d.concurrency_limit_id
    left join ${work_queue} q on q.workspace_id = ${flow_run.workspace_id} and q.id = ${flow_run.work_queue_id}
    left join ${work_pool} p on p.workspace_id = q.workspace_id and p.id = q.work_pool_id
    where ${flow_run.workspace_id} = ${workspaceId} and ${flow_run.id} = ${id}`,
    sql`select ${task_run}.* from ${flow_run} join ${task_run}
        on ${isTaskRunOf(workspaceId, sql`${flow_run.parent_task_run_id}`, "task_run")}
      where ${flow_run.workspace_id} = ${workspaceId} and ${flow_run.id} = ${id}`,
  ]);
  const row = rows?.[0] as LoadedRow | undefined;
  return row && { row, parentTaskRun: (parents?.[0] as TaskRunRow | undefined) ?? null };
}

/** The facts for the event of a written state. `row` is the run as it was written. */
export function factsOf({ row, parentTaskRun }: LoadedFlowRun, initial: State | null, validated: State): FlowRunFacts {
  const columns = {
    ...row,
    run_id: row.id,
    run_name: row.name,
    run_tags: row.tags,
    queue_id: row.work_queue_id,
    task_id: parentTaskRun?.id ?? null,
    task_name: parentTaskRun?.name ?? null,
    task_tags: parentTaskRun?.tags ?? null,
  };
  return readFacts(columns, initial, validated);
}

/** The columns of a state, as a join reads them. */
export function joinedState(state: State): StateColumns {
  return {
    s_id: state.id,
    s_type: state.type,
    s_name: state.name,
    s_timestamp: state.timestamp,
    s_message: state.message,
    s_data: state.data === null ? null : JSON.stringify(state.data),
    s_details: JSON.stringify(state.state_details),
    s_flow_run_id: state.state_details.flow_run_id ?? null,
  };
}

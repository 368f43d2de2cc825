/** What is loaded before a decision on a flow run, and what a commit hands on. */
import type { TaskRunRow } from "#db/rows/task-runs";
import { type SQL, sql } from "drizzle-orm";
import { type Database, readJson, readOptionalJson } from "#db/database";
import { concurrency_limit } from "#db/tables/concurrency-limit";
import { deployment } from "#db/tables/deployment";
import { flow } from "#db/tables/flow";
import { flow_run, flow_run_state } from "#db/tables/flow-run";
import { task_run } from "#db/tables/task-run";
import { work_pool, work_queue } from "#db/tables/work-pool";
import { readFacts } from "#events/facts";
import type { FlowRunFacts } from "#events/lifecycle";
import type { DeploymentFacts, FlowRunColumns, FlowRunPolicy } from "#orchestration/transition";
import { readReliability } from "#wire/reliability";
import { type FlowRunRow, STATE_COLUMNS, type StateColumns } from "#db/rows/flow-runs";
import type { State, StateType } from "#wire/state";

/** The run's row with what the decision and the event need of its surroundings. */
export type LoadedRow = FlowRunRow &
  StateColumns & {
    f_name: string | null;
    f_tags: string | null;
    d_name: string | null;
    d_tags: string | null;
    d_limit_id: string | null;
    d_options: string | null;
    d_reliability: string | null;
    c_limit: number | null;
    q_name: string | null;
    p_id: string | null;
    p_name: string | null;
    p_type: string | null;
  };

export type { TaskRunRow };

/** A flow run as loaded, and the task run that stands for it in its parent. */
export interface LoadedFlowRun {
  row: LoadedRow;
  parentTaskRun: TaskRunRow | null;
}

/** What stands around a run, by the names of `LoadedRow`; over the joins f, d, c, q and p. */
export const SURROUNDINGS = sql.raw(
  `f.name as f_name, f.tags as f_tags, d.name as d_name, d.tags as d_tags, d.concurrency_limit_id as d_limit_id,
   d.concurrency_options as d_options, d.reliability as d_reliability, c."limit" as c_limit,
   q.name as q_name, p.id as p_id, p.name as p_name, p.type as p_type`,
);

/** The select behind `loadFlowRun`, also the sweep's; `where` is over flow_run. */
export function selectLoaded(where: SQL): SQL {
  return sql`select ${flow_run}.*, ${STATE_COLUMNS}, ${SURROUNDINGS}
    from ${flow_run}
    left join ${flow_run_state} s on s.id = ${flow_run.state_id}
    left join ${flow} f on f.workspace_id = ${flow_run.workspace_id} and f.id = ${flow_run.flow_id}
    left join ${deployment} d on d.workspace_id = ${flow_run.workspace_id} and d.id = ${flow_run.deployment_id}
    left join ${concurrency_limit} c on c.workspace_id = d.workspace_id and c.id = d.concurrency_limit_id
    left join ${work_queue} q on q.workspace_id = ${flow_run.workspace_id} and q.id = ${flow_run.work_queue_id}
    left join ${work_pool} p on p.workspace_id = q.workspace_id and p.id = q.work_pool_id
    where ${where}`;
}

/** Loads a run in one round trip. */
export async function loadFlowRun(db: Database, workspaceId: string, id: string): Promise<LoadedFlowRun | undefined> {
  const [rows, parents] = await db.readAll([
    selectLoaded(sql`${flow_run.workspace_id} = ${workspaceId} and ${flow_run.id} = ${id}`),
    sql`select ${task_run}.* from ${flow_run} join ${task_run}
        on ${task_run.workspace_id} = ${flow_run.workspace_id} and ${task_run.id} = ${flow_run.parent_task_run_id}
      where ${flow_run.workspace_id} = ${workspaceId} and ${flow_run.id} = ${id}`,
  ]);
  const row = rows?.[0] as LoadedRow | undefined;
  return row && { row, parentTaskRun: (parents?.[0] as TaskRunRow | undefined) ?? null };
}

/** The run as rules see it. */
export function columnsOf(row: FlowRunRow): FlowRunColumns {
  return {
    id: row.id,
    flow_id: row.flow_id,
    deployment_id: row.deployment_id,
    parent_task_run_id: row.parent_task_run_id,
    infrastructure_pid: row.infrastructure_pid,
    state_type: row.state_type as StateType | null,
    state_name: row.state_name,
    state_timestamp: row.state_timestamp,
    start_time: row.start_time,
    end_time: row.end_time,
    expected_start_time: row.expected_start_time,
    next_scheduled_start_time: row.next_scheduled_start_time,
    total_run_time: row.total_run_time,
    run_count: row.run_count,
    empirical_policy: readJson<FlowRunPolicy>(row.empirical_policy),
  };
}

/** Prefect: `initial_deployment_lease_duration`. */
const GRACE_PERIOD_SECONDS = 300;

/** The deployment as rules see it. */
export function deploymentFactsOf(row: LoadedRow): DeploymentFacts | null {
  if (row.deployment_id === null || row.d_name === null) return null;
  const options = readOptionalJson<{
    collision_strategy?: "ENQUEUE" | "CANCEL_NEW";
    grace_period_seconds?: number | null;
  }>(row.d_options);
  return {
    id: row.deployment_id,
    limit: row.d_limit_id === null || row.c_limit === null ? null : { id: row.d_limit_id, slots: row.c_limit },
    collision_strategy: options?.collision_strategy ?? "ENQUEUE",
    grace_period_seconds: options?.grace_period_seconds ?? GRACE_PERIOD_SECONDS,
    exactly_once: readReliability(row.d_reliability).exactly_once,
  };
}

/** What the event of a written state is made of; `row` is the run as it was written. */
export function factsOf({ row, parentTaskRun }: LoadedFlowRun, initial: State | null, validated: State): FlowRunFacts {
  const columns = {
    run_id: row.id,
    run_name: row.name,
    run_tags: row.tags,
    run_count: row.run_count,
    created_by: row.created_by,
    flow_id: row.flow_id,
    flow_name: row.f_name,
    flow_tags: row.f_tags,
    deployment_id: row.deployment_id,
    deployment_name: row.d_name,
    deployment_tags: row.d_tags,
    queue_id: row.work_queue_id,
    queue_name: row.q_name,
    pool_id: row.p_id,
    pool_name: row.p_name,
    pool_type: row.p_type,
    task_id: parentTaskRun?.id ?? null,
    task_name: parentTaskRun?.name ?? null,
    task_tags: parentTaskRun?.tags ?? null,
  };
  return readFacts(columns, initial, validated);
}

/** The columns of a state as if it were joined to its run. */
export function joinedState(state: State): StateColumns {
  return {
    s_id: state.id,
    s_type: state.type,
    s_name: state.name,
    s_timestamp: state.timestamp,
    s_message: state.message,
    s_data: state.data === null ? null : JSON.stringify(state.data),
    s_details: JSON.stringify(state.state_details),
  };
}

/** Removes runs of a deployment that have not begun: those that its schedules made, or all. */
import { type SQL, sql } from "drizzle-orm";
import type { Statement, Written } from "#db/database";
import { deleteStatesOf } from "#db/state-pages";
import { flow_run } from "#db/tables/flow-run";
import type { Micros } from "#lib/clock";
import { tellPools } from "#orchestration/tell-pools";
import type { DeploymentRow } from "#resources/deployments/store";
import type { Tools } from "#tools";
import { list } from "#db/sql";

/** Removes the runs that schedules made and that have not begun: those that are not due yet (`future`), or the late ones as well. */
export function removeAutoRuns(
  workspaceId: string,
  deploymentId: string,
  now: Micros,
  which: "future" | "all",
): Statement[] {
  const conditions = which === "future" ? [upcoming] : [upcoming, due];
  return conditions.flatMap((runs) => removeRuns(sql`${runs(workspaceId, deploymentId, now)} and auto_scheduled = 1`));
}

/** Selects the ids of runs that have not begun, at most `most`. */
export function selectWaitingRuns(workspaceId: string, deploymentId: string, now: Micros, most: number): SQL {
  return sql`select id from ${flow_run} where ${upcoming(workspaceId, deploymentId, now)}
    union all select id from ${flow_run} where ${due(workspaceId, deploymentId, now)} limit ${most}`;
}

/** Removes runs by their ids, where they have not begun. */
export function removeRunsById(workspaceId: string, ids: readonly string[]): Statement[] {
  return removeRuns(sql`workspace_id = ${workspaceId} and id in ${list(ids)} and ${HAS_NOT_BEGUN}`);
}

/** Tells the object of the work pool which runs are removed. `written` is what the statements above have done. */
export async function forgetRuns(tools: Tools, deployment: DeploymentRow, written: readonly Written[]): Promise<void> {
  const { pool_id, pool_name } = deployment;
  if (pool_id === null || pool_name === null) return;
  const pool = { work_pool_id: pool_id, work_pool_name: pool_name };
  const gone = written.flatMap(({ rows }) => rows).filter((run) => typeof run["work_queue_id"] === "string");
  const runs = gone.map(({ id, work_queue_id }) => ({ id: String(id), work_queue_id: String(work_queue_id) }));
  await tellPools(
    tools,
    runs.map((run) => ({ ...run, ...pool, state_type: null, due: null })),
  );
}

/** Prefect: `_delete_scheduled_runs`; a run that waits for a slot has been picked up once. */
const HAS_NOT_BEGUN = sql`state_type = 'SCHEDULED' and state_name <> 'AwaitingConcurrencySlot' and run_count = 0`;

/** Runs that are not due yet. The index by deployment finds them without the runs of the past. */
function upcoming(workspaceId: string, deploymentId: string, now: Micros): SQL {
  return sql`workspace_id = ${workspaceId} and deployment_id = ${deploymentId}
    and coalesce(start_time, expected_start_time) > ${now} and next_scheduled_start_time > ${now} and ${HAS_NOT_BEGUN}`;
}

/** Runs that are due and wait. The index of live runs finds them; `+` keeps SQLite from the index of the deployment's past runs. */
function due(workspaceId: string, deploymentId: string, now: Micros): SQL {
  return sql`end_time is null and next_scheduled_start_time > 0 and next_scheduled_start_time <= ${now}
    and +workspace_id = ${workspaceId} and +deployment_id = ${deploymentId} and ${HAS_NOT_BEGUN}`;
}

/** Removes the states before the runs: the states are found by the rows of their runs. */
function removeRuns(which: SQL): Statement[] {
  return [
    ...deleteStatesOf(sql`(r.workspace_id, r.id) in (select workspace_id, id from ${flow_run} where ${which})`),
    sql`delete from ${flow_run} where ${which} returning id, work_queue_id`,
  ];
}

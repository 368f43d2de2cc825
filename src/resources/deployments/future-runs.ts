/** Takes back runs of a deployment that nobody has begun: those that its schedules made, or all. */
import { type SQL, sql } from "drizzle-orm";
import type { Statement, Written } from "#db/database";
import { deleteStatesOf } from "#db/state-pages";
import { flow_run } from "#db/tables/flow-run";
import type { Micros } from "#lib/clock";
import { tellPools } from "#orchestration/tell-pools";
import type { DeploymentRow } from "#resources/deployments/store";
import type { Tools } from "#tools";
import { list } from "#db/sql";

/** Removes the runs that schedules made and that have not begun: those still to come, or the late ones as well. */
export function removeAutoRuns(
  workspaceId: string,
  deploymentId: string,
  now: Micros,
  which: "future" | "all",
): Statement[] {
  const isAuto = sql`auto_scheduled = 1`;
  const upcomingOnes = removeRuns(sql`${upcoming(workspaceId, deploymentId, now)} and ${isAuto}`);
  return which === "future"
    ? upcomingOnes
    : [...upcomingOnes, ...removeRuns(sql`${due(workspaceId, deploymentId, now)} and ${isAuto}`)];
}

/** The runs that have not begun, by their ids; at most so many. */
export function selectWaitingRuns(workspaceId: string, deploymentId: string, now: Micros, most: number): SQL {
  return sql`select id from ${flow_run} where ${upcoming(workspaceId, deploymentId, now)}
    union all select id from ${flow_run} where ${due(workspaceId, deploymentId, now)} limit ${most}`;
}

/** Removes runs by their ids, where they have not begun. */
export function removeRunsById(workspaceId: string, ids: readonly string[]): Statement[] {
  return removeRuns(sql`workspace_id = ${workspaceId} and id in ${list(ids)} and ${HAS_NOT_BEGUN}`);
}

/** Tells the pool's object of the runs that are gone. `written` is what the statements above have done. */
export async function forgetRuns(tools: Tools, deployment: DeploymentRow, written: readonly Written[]): Promise<void> {
  const { pool_id: poolId, pool_name: poolName } = deployment;
  const gone = written.flatMap(({ rows }) => rows);
  const live = gone.flatMap(({ id, work_queue_id: queueId }) =>
    poolId !== null && poolName !== null && typeof queueId === "string"
      ? [
          {
            id: String(id),
            work_pool_id: poolId,
            work_pool_name: poolName,
            work_queue_id: queueId,
            state_type: null,
            due: null,
          },
        ]
      : [],
  );
  await tellPools(tools, live);
}

/** Prefect: `_delete_scheduled_runs`; a run that waits for a slot has been picked up once. */
const HAS_NOT_BEGUN = sql`state_type = 'SCHEDULED' and state_name <> 'AwaitingConcurrencySlot' and run_count = 0`;

/** Through the index by deployment: what lies ahead, not what lies behind. */
function upcoming(workspaceId: string, deploymentId: string, now: Micros): SQL {
  return sql`workspace_id = ${workspaceId} and deployment_id = ${deploymentId}
    and coalesce(start_time, expected_start_time) > ${now} and next_scheduled_start_time > ${now} and ${HAS_NOT_BEGUN}`;
}

/** Through the index of live runs: what is due and waits. `+` keeps SQLite from going through the deployment's past. */
function due(workspaceId: string, deploymentId: string, now: Micros): SQL {
  return sql`end_time is null and next_scheduled_start_time > 0 and next_scheduled_start_time <= ${now}
    and +workspace_id = ${workspaceId} and +deployment_id = ${deploymentId} and ${HAS_NOT_BEGUN}`;
}

/** The states first: the runs' rows are the way to them. */
function removeRuns(which: SQL): Statement[] {
  return [
    ...deleteStatesOf(sql`(r.workspace_id, r.id) in (select workspace_id, id from ${flow_run} where ${which})`),
    sql`delete from ${flow_run} where ${which} returning id, work_queue_id`,
  ];
}

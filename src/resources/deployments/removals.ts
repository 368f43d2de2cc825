/** Deletes deployments with their schedules, limits, versions and waiting runs. Removes runs that have not begun. */
import { type SQL, sql } from "drizzle-orm";
import type { Statement, Written } from "#db/database";
import { list } from "#db/sql";
import { deleteStatesOf } from "#db/state-pages";
import { flow_run } from "#db/tables/flow-run";
import { emitEvents } from "#events/emit";
import { sendUnsentOf } from "#events/outbox";
import type { Micros } from "#lib/clock";
import { limitsRemoved } from "#objects/concurrency-limits/client";
import { forgetDeployment } from "#orchestration/recent-runs";
import { tellPools } from "#orchestration/tell-pools";
import { deploymentEvent } from "#resources/deployments/events";
import { type DeploymentRow, DeploymentStore } from "#resources/deployments/store";
import type { Tools } from "#tools";

/** How many waiting runs one batch removes, of all deployments together. */
const RUNS_AT_ONCE = 500;

/** The index of the statement in `DeploymentStore.remove` that gives the ids of the removed limits. */
const LIMITS_REMOVAL = 2;

/**
 * Deletes the existing deployments, with their schedules, limits and waiting runs. Gives the ids of the deleted deployments. A run that
 * has begun keeps the id of its deployment: the run's history is found by the id, and a worker that gets the run cancels the run. The
 * first batch deletes the deployments. So if the process dies after the first batch, workers cancel the remaining waiting runs.
 */
export async function deleteDeployments(tools: Tools, rows: readonly DeploymentRow[]): Promise<string[]> {
  const ids = rows.map(({ id }) => id);
  if (ids.length === 0) return [];
  let waiting = await readWaiting(tools, rows);
  const written = await removeWaiting(tools, waiting, new DeploymentStore(tools).remove(ids));
  for (const id of ids) forgetDeployment(tools.workspaceId, id);
  const idsIn = (index: number) => (written[index]?.rows ?? []).map(({ id }) => String(id));
  const gone = new Set(idsIn(0));
  await limitsRemoved(tools, idsIn(LIMITS_REMOVAL));
  const deleted = rows.filter(({ id }) => gone.has(id));
  const events = deleted.map((row) => deploymentEvent(tools, "deleted", row));
  tools.background(emitEvents(tools, events));
  while (waiting.length > 0) {
    const left = waiting.map(({ row }) => row);
    waiting = await readWaiting(tools, left);
    await removeWaiting(tools, waiting);
  }
  return deleted.map(({ id }) => id);
}

/** Runs of a deployment that have not begun. */
interface Waiting {
  row: DeploymentRow;
  ids: string[];
}

/** Reads some of the waiting runs and sends their unsent events. An event is made from a state, and the next step removes the states. */
async function readWaiting(tools: Tools, rows: readonly DeploymentRow[]): Promise<Waiting[]> {
  const now = tools.clock();
  const most = Math.ceil(RUNS_AT_ONCE / rows.length);
  const found = await tools.db.readAll(rows.map(({ id }) => selectWaitingRuns(tools.workspaceId, id, now, most)));
  const all = rows.map((row, index) => ({ row, ids: (found[index] ?? []).map(({ id }) => String(id)) }));
  const waiting = all.filter(({ ids }) => ids.length > 0);
  const runIds = waiting.flatMap(({ ids }) => ids);
  if (runIds.length > 0) await sendUnsentOf(tools, runIds);
  return waiting;
}

/** Runs the statements `before` and removes the runs, in one batch, and notifies the work pools. Gives the results of the batch. */
async function removeWaiting(
  tools: Tools,
  waiting: readonly Waiting[],
  before: readonly Statement[] = [],
): Promise<Written[]> {
  const removals = waiting.map(({ row, ids }) => ({ row, statements: removeRunsById(tools.workspaceId, ids) }));
  const written = await tools.db.batch([...before, ...removals.flatMap(({ statements }) => statements)]);
  const done = written.slice(before.length);
  for (const { row, statements } of removals) await forgetRuns(tools, row, done.splice(0, statements.length));
  return written;
}

/** Removes runs of schedules that have not begun: only runs that are not yet due (`future`), or also due runs (`all`). */
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

/** Removes runs by their ids, if they have not begun. */
export function removeRunsById(workspaceId: string, ids: readonly string[]): Statement[] {
  return removeRuns(sql`workspace_id = ${workspaceId} and id in ${list(ids)} and ${HAS_NOT_BEGUN}`);
}

/** Notifies the object of the work pool of the removed runs. `written` has the results of the removing statements. */
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

/** Prefect: `_delete_scheduled_runs`. A run that waits for a slot has begun: a worker has taken the run once. */
const HAS_NOT_BEGUN = sql`state_type = 'SCHEDULED' and state_name <> 'AwaitingConcurrencySlot' and run_count = 0`;

/** Runs that are not due yet. The index by deployment finds these runs without past runs. */
function upcoming(workspaceId: string, deploymentId: string, now: Micros): SQL {
  return sql`workspace_id = ${workspaceId} and deployment_id = ${deploymentId}
    and coalesce(start_time, expected_start_time) > ${now} and next_scheduled_start_time > ${now} and ${HAS_NOT_BEGUN}`;
}

/** Runs that are due and wait. The index of live runs finds these runs. `+` prevents SQLite from using the index of the deployment's past runs. */
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

/** Deletes flow runs with their states, inputs, task runs, artifacts and logs. */
import { type SQL, sql } from "drizzle-orm";
import { deleteArtifactsOf, deleteSomeArtifactsOf, MAX_DELETED, ofFlowRuns as areOfFlowRuns } from "#db/artifacts";
import { deleteOldestPage, deleteStatesOf, HAS_PAGES } from "#db/state-pages";
import { artifact } from "#db/tables/artifact";
import { flow_run, flow_run_input, flow_run_state } from "#db/tables/flow-run";
import { deleteLogsOf } from "#db/tables/log";
import { task_run } from "#db/tables/task-run";
import { work_pool, work_queue } from "#db/tables/work-pool";
import { sendUnsentOf } from "#events/outbox";
import { inWorkspace, seek } from "#filters/clause";
import { releaseSlots } from "#orchestration/secure-slots";
import { tellPools } from "#orchestration/tell-pools";
import { writeWithRetry } from "#db/database";
import type { Tools } from "#tools";
import type { LiveRun } from "#objects/work-pool/messages";
import { storedDetail } from "#db/short/details";
import { uuidText } from "#db/short/ids";
import { unpackUuid } from "#db/short/uuid";
import { each, list } from "#db/sql";
import { ofFlowRun, ofFlowRuns } from "#db/task-run-keys";

/** If a run has more task runs, they are deleted before the run, so that no statement takes too long. */
const MAX_TASK_RUNS = 5_000;

/**
 * Deletes the existing runs and gives their ids. Unsent events are sent first, because they are made from the states. The rows of the
 * runs are deleted last, so a second request completes an interrupted deletion. `only` is a condition on a run `r`. The deleting
 * statements check the condition: if a run no longer meets it, nothing of the run is deleted.
 */
export async function deleteFlowRuns(tools: Tools, ids: readonly string[], only?: SQL): Promise<string[]> {
  const { workspaceId } = tools;
  return takeOutRuns(tools, ids, async (runs) => {
    for (const { id, is_large, has_many_artifacts, has_pages } of runs) {
      if (is_large === 1) await deleteTaskRuns(tools, idsMeeting(workspaceId, [id], only));
      if (has_many_artifacts === 1) await deleteArtifacts(tools, idsMeeting(workspaceId, [id], only));
      if (has_pages === 1) await deletePages(tools, idsMeeting(workspaceId, [id], only));
    }
    return deleteRuns(
      tools,
      runs.map(({ id }) => id),
      only,
    );
  });
}

/** A run in D1 that is to be taken out. */
interface PresentRun {
  id: string;
  is_large: number;
  has_many_artifacts: number;
  has_pages: number;
}

/**
 * Takes runs out of D1, and gives the ids of the runs that are gone. `remove` is called for the runs that exist, when their unsent events
 * are sent, and returns the ids of the removed runs. Then work pools forget these runs, and their slots become free.
 */
export async function takeOutRuns(
  tools: Tools,
  ids: readonly string[],
  remove: (runs: readonly PresentRun[]) => Promise<ReadonlySet<string>>,
): Promise<string[]> {
  const { workspaceId, db } = tools;
  const [runs, live, leases] = await db.readAll([
    sql`select id, exists (select 1 from ${task_run} t where ${ofFlowRun(workspaceId, sql`r.id`, "t")}
        limit 1 offset ${MAX_TASK_RUNS}) as is_large,
        exists (select 1 from ${artifact} a where ${areOfFlowRuns(workspaceId, sql`(select r.id as value)`, "a")}
          limit 1 offset ${MAX_DELETED}) as has_many_artifacts, ${HAS_PAGES} as has_pages
      from ${flow_run} r where r.workspace_id = ${workspaceId} and r.id in ${list(ids)}`,
    liveRuns(workspaceId, ids),
    heldLeases(workspaceId, ids),
  ]);
  if (!runs?.length) return [];
  const present = runs as unknown as PresentRun[];
  await sendUnsentOf(
    tools,
    present.map(({ id }) => id),
  );
  const gone = await remove(present);
  const isGone = ({ id }: Record<string, unknown>) => gone.has(String(id));
  await tellPools(tools, (live ?? []).filter(isGone).map(forgotten));
  const released = (leases ?? [])
    .filter(isGone)
    .map(({ lease_id }) => ({ kind: "release-slot", lease_id: String(unpackUuid(lease_id)) }) as const);
  await releaseSlots(tools, "", released);
  return ids.filter((id) => gone.has(id));
}

/** Deletes the runs in one batch, and gives the ids of the deleted runs. */
async function deleteRuns({ workspaceId, db }: Tools, ids: readonly string[], only: SQL | undefined) {
  const batch = deletions(workspaceId, idsMeeting(workspaceId, ids, only));
  const left = sql`select id from ${flow_run} where workspace_id = ${workspaceId} and id in ${list(ids)}`;
  const { written, present } = await writeWithRetry(db, batch, left);
  return present ? new Set(ids).difference(idsOf(present)) : idsOf(written.at(-1)?.rows);
}

const idsOf = (rows: readonly Record<string, unknown>[] = []) => new Set(rows.map(({ id }) => String(id)));

/** The ids of the runs that meet the condition, as a subquery with the column `value`. */
function idsMeeting(workspaceId: string, ids: readonly string[], only: SQL | undefined): SQL {
  if (!only) return list(ids);
  return sql`(select r.id as value from ${each(ids)} listed
    cross join ${flow_run} r on r.workspace_id = ${workspaceId} and r.id = listed.value where ${only})`;
}

/** Selects the runs that an object of a work pool may know. */
function liveRuns(workspaceId: string, ids: readonly string[]): SQL {
  return sql`select r.id as id, r.work_queue_id as work_queue_id, p.id as work_pool_id, p.name as work_pool_name
    from ${flow_run} r
    join ${work_queue} q on q.workspace_id = r.workspace_id and q.id = r.work_queue_id
    join ${work_pool} p on p.workspace_id = q.workspace_id and p.id = q.work_pool_id
    where r.workspace_id = ${workspaceId} and r.id in ${list(ids)}`;
}

/** Selects the leases of the runs on their deployments' limits. */
function heldLeases(workspaceId: string, ids: readonly string[]): SQL {
  return sql`select r.id as id, ${storedDetail("s.state_details", "deployment_concurrency_lease_id")} as lease_id
    from ${flow_run} r
    join ${flow_run_state} s on s.id = r.state_id
    where r.workspace_id = ${workspaceId} and r.id in ${list(ids)} and lease_id is not null
      and s.type in ('PENDING', 'RUNNING', 'CANCELLING')`;
}

/** Deletes the older states of runs that have very many states, one page in each batch. */
async function deletePages(tools: Tools, flowRunIds: SQL): Promise<void> {
  const runs = sql`r.workspace_id = ${tools.workspaceId} and r.id in ${flowRunIds}`;
  for (let removed = 1; removed > 0;) {
    const written = await tools.db.batch(deleteOldestPage(runs));
    removed = written.at(-1)?.changes ?? 0;
  }
}

async function deleteTaskRuns(tools: Tools, flowRunIds: SQL): Promise<void> {
  const some = (
    columns: SQL,
  ) => sql`(select ${columns} from ${task_run} where ${ofFlowRuns(tools.workspaceId, flowRunIds)}
    order by task_key, dynamic_key, id limit ${MAX_TASK_RUNS})`;
  for (let changes = MAX_TASK_RUNS; changes === MAX_TASK_RUNS;) {
    const [, removed] = await tools.db.batch([
      orphanSubflows(tools.workspaceId, some(ID_TEXT)),
      sql`delete from ${task_run} where (workspace_id, id) in ${some(sql`workspace_id, id`)}`,
    ]);
    changes = removed?.changes ?? 0;
  }
}

/** Deletes artifacts of runs that have very many, some in each batch. */
async function deleteArtifacts(tools: Tools, flowRunIds: SQL): Promise<void> {
  for (let removed = MAX_DELETED; removed === MAX_DELETED;) {
    const written = await tools.db.batch(deleteSomeArtifactsOf(tools.workspaceId, flowRunIds));
    removed = written.at(-1)?.rows.length ?? 0;
  }
}

/** The text of a task run's id, as the rows of subflows have it. */
const ID_TEXT = sql.raw(uuidText("id"));

/** Subflows are not deleted, but lose their parent's task run. */
function orphanSubflows(workspaceId: string, taskRunIds: SQL): SQL {
  return sql`update ${flow_run} set parent_task_run_id = null
    where ${inWorkspace(flow_run.workspace_id, workspaceId)}
      and ${seek(flow_run.parent_task_run_id, sql`${flow_run.parent_task_run_id} in ${taskRunIds}`)}`;
}

function deletions(workspaceId: string, among: SQL): SQL[] {
  const tasks = sql`(select ${ID_TEXT} from ${task_run} where ${ofFlowRuns(workspaceId, among)})`;
  return [
    ...deleteStatesOf(sql`r.workspace_id = ${workspaceId} and r.id in ${among}`),
    sql`delete from ${flow_run_input} where workspace_id = ${workspaceId} and flow_run_id in ${among}`,
    ...deleteLogsOf(workspaceId, among),
    ...deleteArtifactsOf(workspaceId, among),
    orphanSubflows(workspaceId, tasks),
    sql`delete from ${task_run} where ${ofFlowRuns(workspaceId, among)}`,
    sql`delete from ${flow_run} where workspace_id = ${workspaceId} and id in ${among} returning id`,
  ];
}

function forgotten(row: Record<string, unknown>): LiveRun {
  return {
    id: String(row["id"]),
    work_pool_id: String(row["work_pool_id"]),
    work_pool_name: String(row["work_pool_name"]),
    work_queue_id: String(row["work_queue_id"]),
    state_type: null,
    due: null,
  };
}

/** Conditions on artifacts, and the statements that several resources need. */
import { type SQL, sql } from "drizzle-orm";
import { shortId, shortWorkspace } from "#db/short/ids";
import { each } from "#db/sql";
import { artifact, artifact_collection } from "#db/tables/artifact";

/** A condition on a row of `artifact` with this alias. */
type Condition = (alias: string) => SQL;

/** How many artifacts one statement deletes. A run with more artifacts loses the others first. */
export const MAX_DELETED = 1_000;

/** The condition that a row `alias` belongs to one of the flow runs of a subquery with the column `value`. */
export function ofFlowRuns(workspaceId: string, flowRunIds: SQL, alias: string): SQL {
  const row = sql.raw(alias);
  // Without the unary plus SQLite would rather read the whole workspace.
  return sql`(${row}.flow_run_id in (select ${shortId(sql`value`)} from ${flowRunIds})
    and ${row}.flow_run_id is not null and +${row}.workspace_id = ${shortWorkspace(workspaceId)})`;
}

/** The condition that a row `alias` is the latest of its key. */
export function isLatest(workspaceId: string, alias: string): SQL {
  const row = sql.raw(alias);
  return sql`exists (select 1 from ${artifact_collection} c
    where c.workspace_id = ${shortWorkspace(workspaceId)} and c.key = ${row}.key and c.latest_id = ${row}.id)`;
}

/** Deletes the artifact with this id. See `deleteMeeting`. */
export function deleteArtifact(workspaceId: string, id: string): SQL[] {
  return deleteMeeting(workspaceId, (alias) => {
    const row = sql.raw(alias);
    return sql`(${row}.workspace_id = ${shortWorkspace(workspaceId)} and ${row}.id = ${shortId(id)})`;
  });
}

/** Deletes those of the artifacts with these ids that meet a condition. */
export function deleteArtifacts(workspaceId: string, ids: readonly string[], condition: Condition): SQL[] {
  return deleteMeeting(workspaceId, (alias) => {
    const row = sql.raw(alias);
    return sql`(${row}.workspace_id = ${shortWorkspace(workspaceId)}
      and ${row}.id in (select ${shortId(sql`value`)} from ${each(ids)}) and ${condition(alias)})`;
  });
}

/** Deletes the artifacts of flow runs. `flowRunIds` is a subquery with the column `value`. */
export function deleteArtifactsOf(workspaceId: string, flowRunIds: SQL): SQL[] {
  return deleteMeeting(workspaceId, (alias) => ofFlowRuns(workspaceId, flowRunIds, alias));
}

/** Deletes the first `MAX_DELETED` of the artifacts of flow runs. */
export function deleteSomeArtifactsOf(workspaceId: string, flowRunIds: SQL): SQL[] {
  const some = sql`select s.id from ${artifact} s where ${ofFlowRuns(workspaceId, flowRunIds, "s")}
    order by s.id limit ${MAX_DELETED}`;
  return deleteMeeting(
    workspaceId,
    (alias) =>
      sql`(${sql.raw(alias)}.workspace_id = ${shortWorkspace(workspaceId)} and ${sql.raw(alias)}.id in (${some}))`,
  );
}

/** Deletes the artifacts of a task run. */
export function deleteArtifactsOfTask(workspaceId: string, taskRunId: string): SQL[] {
  return deleteMeeting(workspaceId, (alias) => {
    const row = sql.raw(alias);
    return sql`(${row}.task_run_id = ${shortId(taskRunId)} and +${row}.workspace_id = ${shortWorkspace(workspaceId)})`;
  });
}

/**
 * Three statements that delete artifacts. Before, each collection whose latest artifact is deleted gets the newest of the others, or is
 * deleted too. The statements return the ids of the changed collections, of the deleted collections, and of the deleted artifacts.
 */
function deleteMeeting(workspaceId: string, condition: Condition): SQL[] {
  const own = shortWorkspace(workspaceId);
  const hasLost = sql`workspace_id = ${own}
    and key in (select d.key from ${artifact} d where ${condition("d")} and d.key is not null)
    and latest_id in (select d.id from ${artifact} d where ${condition("d")})`;
  const next = (columns: string) => sql`select ${sql.raw(columns)} from ${artifact} n
    where n.workspace_id = ${own} and n.key = ${artifact_collection.key} and ${condition("n")} is not true
    order by n.id desc limit 1`;
  return [
    sql`update ${artifact_collection} set (latest_id, created) = (${next("n.id, n.created")})
      where ${hasLost} and exists (${next("1")}) returning id`,
    sql`delete from ${artifact_collection} where ${hasLost} returning id`,
    sql`delete from ${artifact} as d where ${condition("d")} returning id`,
  ];
}

/** Makes the newest artifact of each key of a flow run the latest, if no newer artifact is the latest. For runs that come back. */
export function adoptLatestOf(workspaceId: string, flowRunId: string): SQL {
  return sql`insert into ${artifact_collection} (workspace_id, id, key, latest_id, created)
    select a.workspace_id, max(a.id), a.key, max(a.id), a.created from ${artifact} a
    where ${ofFlowRuns(workspaceId, sql`(select ${flowRunId} as value)`, "a")} and a.key is not null group by a.key
    on conflict (workspace_id, key) do update set latest_id = excluded.latest_id where excluded.latest_id > latest_id
    on conflict do nothing`;
}

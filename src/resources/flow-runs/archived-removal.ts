/** Removes archived runs: first the rows in D1, then the objects. */
import { type SQL, sql } from "drizzle-orm";
import { deleteArtifactsOf } from "#db/artifacts";
import { shortId, shortWorkspace } from "#db/short/ids";
import { each, list } from "#db/sql";
import { deleteLogsOf } from "#db/tables/log";
import { archived_run, run_archive } from "#db/tables/run-archive";
import type { Micros } from "#lib/clock";
import { deleteFlowRuns } from "#resources/flow-runs/delete-flow-run";
import { readAddresses, type RunAddress } from "#resources/flow-runs/archived-run";
import type { MoveTools } from "#resources/logs/archived-move";
import { idsIn } from "#resources/logs/archived-removal";
import type { Tools } from "#tools";

/** Deletes runs in D1 and in the archive, and gives the ids of those that existed. */
export async function deleteRuns(tools: Tools, ids: readonly string[]): Promise<string[]> {
  const gone = new Set<string>();
  // A run may move to the archive or come back meanwhile.
  for (const remove of [deleteFlowRuns, deleteArchivedRuns, deleteFlowRuns]) {
    const left = ids.filter((id) => !gone.has(id));
    if (left.length > 0) for (const id of await remove(tools, left)) gone.add(id);
  }
  return ids.filter((id) => gone.has(id));
}

/**
 * Deletes archived runs, and gives the ids of those that existed. Their bytes stay in the bundle until its last run is gone, or until the
 * retention of the archive has passed.
 */
async function deleteArchivedRuns(tools: Tools, ids: readonly string[]): Promise<string[]> {
  const { db, workspaceId, archive, background } = tools;
  const addresses = await readAddresses(tools, ids);
  if (addresses.length === 0) return [];
  const gone: string[] = [];
  // Runs of one bundle are in one transaction.
  for (const own of Map.groupBy(addresses, ({ bundle }) => bundle).values()) {
    const [first] = own;
    if (!first) continue;
    const some = own.map(({ id }) => id);
    const results = await db.batch([
      ...deleteLogsOf(workspaceId, inBundle(workspaceId, first, some)),
      ...deleteArtifactsOf(workspaceId, inBundle(workspaceId, first, some)),
      ...takeOutOfBundle(workspaceId, first, some),
    ]);
    const { taken, emptied } = takenFrom(results.slice(-3));
    gone.push(...taken);
    if (archive && emptied.length > 0) background(archive.delete(emptied));
  }
  return gone;
}

type Bundle = Pick<RunAddress, "bundle" | "first_end">;

/** The ids of the runs that are in a bundle, as a subquery with the column `value`. */
function inBundle(workspaceId: string, { bundle }: Pick<Bundle, "bundle">, ids: readonly string[]): SQL {
  return sql`(select k.value as value from ${each(ids)} k cross join ${archived_run} a
    on a.workspace_id = ${shortWorkspace(workspaceId)} and a.id = ${shortId(sql`k.value`)} and a.bundle = ${shortId(bundle)})`;
}

/**
 * Three statements that take runs out of a bundle, if they are in it and meet a condition, and remove the row of a bundle without runs.
 * `takenFrom` reads their results.
 */
export function takeOutOfBundle(
  workspaceId: string,
  { bundle, first_end }: Bundle,
  ids: readonly string[],
  condition: SQL = sql`true`,
): SQL[] {
  const row = sql`workspace_id = ${workspaceId} and first_end = ${first_end} and id = ${shortId(bundle)}`;
  const among = sql`workspace_id = ${shortWorkspace(workspaceId)} and bundle = ${shortId(bundle)}
    and id in (select ${shortId(sql`value`)} from ${list(ids)}) and ${condition}`;
  return [
    sql`update ${run_archive} set run_count = run_count - (select count(*) from ${archived_run} where ${among}) where ${row}`,
    sql`delete from ${archived_run} where ${among} returning id`,
    sql`delete from ${run_archive} where ${row} and run_count = 0 returning key`,
  ];
}

/** The ids of the runs that were taken out, and the keys of objects that no row names now. */
export function takenFrom(results: readonly { rows: Record<string, unknown>[] }[]) {
  const [, taken, emptied] = results;
  return {
    taken: (taken?.rows ?? []).map(({ id }) => String(id)),
    emptied: (emptied?.rows ?? []).map(({ key }) => String(key)),
  };
}

/** A bundle that is past its retention. */
export interface OldBundle {
  first_end: Micros;
  id: string;
  /** The hexadecimal digits of the column `runs`. */
  runs: string;
}

/** Removes bundles with all their runs. If the process dies in between, a sweep removes the objects. */
export async function removeRunBundles(
  { db, workspaceId, archive }: MoveTools,
  bundles: readonly OldBundle[],
): Promise<void> {
  const results = await db.batch(
    bundles.flatMap(({ first_end, id, runs }) => [
      // Artifacts that are the latest of their keys have stayed in D1.
      ...deleteArtifactsOf(workspaceId, inBundle(workspaceId, { bundle: id }, idsIn(runs))),
      sql`delete from ${archived_run} where workspace_id = ${shortWorkspace(workspaceId)} and bundle = ${shortId(id)}
        and id in (select ${shortId(sql`value`)} from ${list(idsIn(runs))})`,
      sql`delete from ${run_archive} where workspace_id = ${workspaceId} and first_end = ${first_end}
        and id = ${shortId(id)} returning key`,
    ]),
  );
  await archive.delete(
    results.flatMap(({ rows }) => rows.flatMap(({ key }) => (typeof key === "string" ? [key] : []))),
  );
}

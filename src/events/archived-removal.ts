/** Removes events from the archive: first the rows in D1, then the objects. */
import { type SQL, sql } from "drizzle-orm";
import { each, list } from "#db/sql";
import { event_archive, event_resource, event_segment } from "#db/tables/event";
import { addressOf, type BundleRow, selectBundlesOf } from "#events/archived-bundles";
import type { MoveTools } from "#events/archived-move";
import { headerOf, readMoving } from "#events/archived-parts";
import { chunks } from "#lib/chunks";
import type { Micros } from "#lib/clock";

/** How many resources one statement removes from the index. */
const MAX_RESOURCES = 2_000;

/** Removes all bundles of an hour. If the process dies in between, a sweep removes the objects. */
export async function removeArchivedHour(tools: MoveTools, hour: Micros): Promise<void> {
  const { db, workspaceId } = tools;
  const bundles = await db.rows<BundleRow>(selectBundlesOf(workspaceId, hour));
  const resources = new Set<string>();
  for (const bundle of bundles) for (const id of await resourcesOf(tools, bundle)) resources.add(id);
  const ids = bundles.map(({ id }) => id);
  await db.batch([
    sql`delete from ${event_archive} where workspace_id = ${workspaceId} and hour = ${hour} and id in ${list(ids)}`,
    ...chunks([...resources], MAX_RESOURCES).map((some) => deleteIndexRows(workspaceId, hour, some)),
  ]);
  await tools.archive.delete(bundles.map(({ key }) => key));
}

/** Removes the index rows of resources that point to nothing any more. */
function deleteIndexRows(workspaceId: string, hour: Micros, resources: readonly string[]): SQL {
  return sql`delete from ${event_resource} where (workspace_id, resource_id, hour, first_id) in (
      select r.workspace_id, r.resource_id, r.hour, r.first_id from ${each(resources)} wanted
      cross join ${event_resource} r on r.workspace_id = ${workspaceId} and r.resource_id = wanted.value and r.hour = ${hour}
      where not exists (select 1 from ${event_segment} s
        where s.workspace_id = ${workspaceId} and s.hour = ${hour} and s.id between r.first_id and r.last_id))
    and not exists (select 1 from ${event_archive} a where a.workspace_id = ${workspaceId} and a.hour = ${hour})`;
}

/** The resources of a bundle, by which its index rows are found. Of parts that cannot be read, the index rows stay. */
async function resourcesOf({ archive }: MoveTools, bundle: BundleRow): Promise<string[]> {
  const address = addressOf(bundle);
  const entries = await archive.readIndex(address);
  if (typeof entries === "string") return [];
  const known = entries.flatMap((entry) => headerOf(entry).resources ?? []);
  const long = entries.filter((entry) => headerOf(entry).resources === null);
  for (const portion of archive.readParts(address, long)) {
    for (const { content } of await portion()) {
      if (typeof content === "string") continue;
      known.push(...readMoving(bundle.key, content).flatMap(({ resources }) => resources));
    }
  }
  return known;
}

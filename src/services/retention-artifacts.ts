/** Removes artifacts of flow runs that do not exist. */
import { type SQL, sql } from "drizzle-orm";
import { deleteArtifacts } from "#db/artifacts";
import { shortId, shortWorkspace, uuidText } from "#db/short/ids";
import { artifact } from "#db/tables/artifact";
import { flow } from "#db/tables/flow";
import { isRun } from "#resources/logs/archived-bundles";
import { type Page, type Place, takeRound } from "#services/retention-rounds";
import type { SweepTools, Tools } from "#tools";

/**
 * Checks the artifacts that name a flow run, once a day, and removes those whose flow run is neither in D1 nor in the archive. Such
 * artifacts arrived after the deletion of the run. An artifact that names no flow run stays.
 */
export async function removeOrphanedArtifacts(tools: SweepTools): Promise<void> {
  const { types, orphan_cleanup_loop_seconds } = tools.settings.services.db_vacuum;
  if (!types.includes("orphans")) return;
  await takeRound(tools, {
    name: "orphaned artifacts",
    everySeconds: orphan_cleanup_loop_seconds,
    // The workspaces in `artifact` are short ids, which a round cannot go through. A workspace with runs has flows.
    table: flow,
    work: removeArtifacts,
  });
}

async function removeArtifacts(tools: Tools, { after, most }: Page): Promise<Place | null> {
  const limit = Math.max(1, most);
  const looked = await tools.db.rows<{ id: string; is_orphan: number }>(
    selectArtifacts(tools.workspaceId, after?.id ?? null, limit, most > 0),
  );
  const orphans = looked.filter(({ is_orphan }) => is_orphan === 1).map(({ id }) => id);
  const condition = (alias: string) => isOrphan(tools.workspaceId, alias);
  if (orphans.length > 0) await tools.db.batch(deleteArtifacts(tools.workspaceId, orphans, condition));
  const last = looked.at(-1);
  return last && looked.length === limit ? { at: 0, id: last.id } : null;
}

/** The next artifacts in the order of their ids. With `isAsked`, the rows also say whether an artifact is an orphan. */
export function selectArtifacts(workspaceId: string, after: string | null, most: number, isAsked = true): SQL {
  const isNext = after === null ? sql`true` : sql`a.id > ${shortId(after)}`;
  return sql`select a.id, ${isAsked ? isOrphan(workspaceId, "a") : sql`0`} as is_orphan from ${artifact} a
    where a.workspace_id = ${shortWorkspace(workspaceId)} and ${isNext} order by a.id limit ${most}`;
}

const isOrphan = (workspaceId: string, alias: string): SQL =>
  sql`(${sql.raw(alias)}.flow_run_id is not null and not ${isRun(workspaceId, uuidText(`${alias}.flow_run_id`))})`;

/** Removes archived logs of runs that ended before the retention of the archive, and that do not exist any more. */
import { sql } from "drizzle-orm";
import { ArchiveUnreachable } from "#archive/bucket";
import { log_archive } from "#db/tables/log";
import { isOutage } from "#events/dead-letters";
import type { Micros } from "#lib/clock";
import { type OldBundle, removeBundles } from "#resources/logs/archived-removal";
import { takeRound } from "#services/retention-rounds";
import type { SweepTools } from "#tools";

/** How many bundles a page looks at. */
const BUNDLES = 50;
const PAGES = 20;

/**
 * Removes bundles, once a day. The logs of a run that exists stay as long as the run. Nobody can read the logs of a run
 * that does not exist, but they stay as long as the archive may have the run.
 */
export async function removeArchivedLogs(tools: SweepTools): Promise<void> {
  const { archive, settings } = tools;
  const { retention_period } = settings.archive;
  if (archive === null || retention_period === 0) return;
  const cutoff = (begun: Micros): Micros => begun - retention_period * 1_000_000;
  await takeRound(tools, {
    name: "archived logs",
    everySeconds: settings.services.db_vacuum.orphan_cleanup_loop_seconds,
    pages: PAGES,
    items: BUNDLES,
    table: log_archive,
    isOutage: (error) => error instanceof ArchiveUnreachable || isOutage(error),
    hasWork: ({ begun }) => sql`exists (select 1 from ${log_archive} a
      where a.workspace_id = w.id and a.first_start < ${cutoff(begun)})`,
    async work(own, { begun, after, most }) {
      const limit = Math.max(1, most);
      const looked = await own.db.rows<OldBundle & { is_old: number }>(sql`
        select a.first_start, a.id, a.last_end < ${cutoff(begun)} as is_old,
          iif(a.last_end < ${cutoff(begun)}, hex(a.runs), '') as runs
        from ${log_archive} a
        where a.workspace_id = ${own.workspaceId} and a.first_start < ${cutoff(begun)}
          and (a.first_start, a.id) > (${after?.at ?? -9e18}, ${after?.id ?? ""})
        order by a.first_start, a.id limit ${limit}`);
      const old = looked.filter(({ is_old }) => is_old);
      if (most > 0 && old.length > 0) await removeBundles({ ...own, archive }, old);
      const last = looked.at(-1);
      return last && looked.length === limit ? { at: last.first_start, id: last.id } : null;
    },
  });
}

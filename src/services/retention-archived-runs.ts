/** Removes archived runs that ended before the retention of the archive, by whole bundles. */
import { sql } from "drizzle-orm";
import { ArchiveUnreachable } from "#archive/bucket";
import { run_archive } from "#db/tables/run-archive";
import { isOutage } from "#events/dead-letters";
import type { Micros } from "#lib/clock";
import { type OldBundle, removeRunBundles } from "#resources/flow-runs/archived-removal";
import { takeRound } from "#services/retention-rounds";
import type { SweepTools } from "#tools";

/** How many bundles a page looks at. */
const BUNDLES = 50;
const PAGES = 20;

/** Removes the bundles of which all runs ended before the retention of the archive, once a day. */
export async function removeArchivedRuns(tools: SweepTools): Promise<void> {
  const { archive, settings } = tools;
  const { retention_period } = settings.archive;
  if (archive === null || retention_period === 0) return;
  const cutoff = (begun: Micros): Micros => begun - retention_period * 1_000_000;
  await takeRound(tools, {
    name: "archived runs",
    everySeconds: settings.services.db_vacuum.orphan_cleanup_loop_seconds,
    pages: PAGES,
    items: BUNDLES,
    table: run_archive,
    isOutage: (error) => error instanceof ArchiveUnreachable || isOutage(error),
    hasWork: ({ begun }) => sql`exists (select 1 from ${run_archive} a
      where a.workspace_id = w.id and a.first_end < ${cutoff(begun)})`,
    async work(own, { begun, after, most }) {
      const limit = Math.max(1, most);
      const looked = await own.db.rows<OldBundle & { digits: string; is_old: number }>(sql`
        select a.first_end, a.id, hex(a.id) as digits, a.last_end < ${cutoff(begun)} as is_old,
          iif(a.last_end < ${cutoff(begun)}, hex(a.runs), '') as runs
        from ${run_archive} a
        where a.workspace_id = ${own.workspaceId} and a.first_end < ${cutoff(begun)}
          and (a.first_end, a.id) > (${after?.at ?? -9e18}, unhex(${after?.id ?? ""}))
        order by a.first_end, a.id limit ${limit}`);
      const old = looked.filter(({ is_old }) => is_old);
      if (most > 0 && old.length > 0) await removeRunBundles({ ...own, archive }, old);
      const last = looked.at(-1);
      return last && looked.length === limit ? { at: last.first_end, id: last.digits } : null;
    },
  });
}

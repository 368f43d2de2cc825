/** Removes bundles of runs and of logs whose runs ended before the retention of the archive. */
import { sql } from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import { ArchiveUnreachable } from "#archive/bucket";
import { log_archive } from "#db/tables/log";
import { run_archive } from "#db/tables/run-archive";
import { isOutage } from "#events/dead-letters";
import type { Micros } from "#lib/clock";
import { removeRunBundles } from "#resources/flow-runs/archived-removal";
import type { MoveTools } from "#resources/logs/archived-move";
import { removeBundles } from "#resources/logs/archived-removal";
import { keyValue, storedKey } from "#services/census-store";
import { takeRound } from "#services/retention-rounds";
import type { SweepTools } from "#tools";

/** How many bundles a page looks at. */
const BUNDLES = 50;
const PAGES = 20;

/** Removes the bundles of which all runs ended before the retention of the archive, once a day. */
export const removeArchivedRuns = (tools: SweepTools): Promise<void> =>
  removeOldBundles(tools, {
    name: "archived runs",
    table: run_archive,
    first: run_archive.first_end,
    remove: removeRunBundles,
  });

/**
 * Removes bundles of logs, once a day. The logs of a run that exists stay as long as the run. Nobody can read the logs of a run that does
 * not exist, but they stay as long as the archive may have the run.
 */
export const removeArchivedLogs = (tools: SweepTools): Promise<void> =>
  removeOldBundles(tools, {
    name: "archived logs",
    table: log_archive,
    first: log_archive.first_start,
    remove: removeBundles,
  });

/** A kind of bundles. */
interface Kind<Bundle> {
  name: string;
  /** The table with a row for each bundle. */
  table: typeof run_archive | typeof log_archive;
  /** The first time of a bundle: with the workspace and the id, it is the key of the table. */
  first: SQLiteColumn;
  /** Removes bundles whose runs all ended before the retention. */
  remove: (tools: MoveTools, bundles: readonly Bundle[]) => Promise<void>;
}

/** A bundle on a page, and its place in the key of the table. */
interface Looked {
  at: Micros;
  place: string;
  is_old: number;
}

async function removeOldBundles<Bundle>(
  tools: SweepTools,
  { name, table, first, remove }: Kind<Bundle>,
): Promise<void> {
  const { archive, settings } = tools;
  const { retention_period } = settings.archive;
  if (archive === null || retention_period === 0) return;
  const cutoff = (begun: Micros): Micros => begun - retention_period * 1_000_000;
  await takeRound(tools, {
    name,
    everySeconds: settings.services.db_vacuum.orphan_cleanup_loop_seconds,
    pages: PAGES,
    items: BUNDLES,
    table,
    isOutage: (error) => error instanceof ArchiveUnreachable || isOutage(error),
    hasWork: ({ begun }) => sql`exists (select 1 from ${table}
      where ${table.workspace_id} = w.id and ${first} < ${cutoff(begun)})`,
    async work(own, { begun, after, most }) {
      const limit = Math.max(1, most);
      const isOld = sql`${table.last_end} < ${cutoff(begun)}`;
      const looked = await own.db.rows<Bundle & Looked>(sql`
        select ${first}, ${table.id}, iif(${isOld}, hex(${table.runs}), '') as runs,
          ${first} as at, ${keyValue(table.id)} as place, ${isOld} as is_old
        from ${table}
        where ${table.workspace_id} = ${own.workspaceId} and ${first} < ${cutoff(begun)}
          and (${first}, ${table.id}) > (${after?.at ?? -9e18}, ${storedKey(table.id, after?.id ?? "")})
        order by ${first}, ${table.id} limit ${limit}`);
      const old = looked.filter(({ is_old }) => is_old);
      if (most > 0 && old.length > 0) await remove({ ...own, archive }, old);
      const last = looked.at(-1);
      return last && looked.length === limit ? { at: last.at, id: last.place } : null;
    },
  });
}

/** Removes results that tasks kept under a cache key: those that have expired, and those as old as runs that are removed. */
import { type SQL, sql } from "drizzle-orm";
import { each } from "#db/sql";
import { task_run_state_cache } from "#db/tables/task-run";
import type { Micros } from "#lib/clock";
import { type Page, type Place, takeRound } from "#services/retention-rounds";
import type { SweepTools, Tools } from "#tools";

/**
 * Goes through all entries by their key, page by page, for an index of expirations would cost one row for each entry. No task is
 * given an entry that has expired, so no task waits for the removal.
 */
export async function removeOldCaches(tools: SweepTools): Promise<void> {
  const { types, loop_seconds, retention_period } = tools.settings.services.db_vacuum;
  const oldest = (begun: Micros): Micros =>
    types.includes("flow_runs") ? begun - retention_period * 1_000_000 : -9e18;
  await takeRound(tools, {
    name: "task run caches",
    everySeconds: loop_seconds,
    table: task_run_state_cache,
    work: (own, { begun, after, most }) =>
      removePage(own, sql`(cache_expiration <= ${begun} or created < ${oldest(begun)})`, { after, most }),
  });
}

async function removePage(
  tools: Tools,
  isOld: SQL,
  { after, most }: Pick<Page, "after" | "most">,
): Promise<Place | null> {
  const limit = Math.max(1, most);
  const own = sql`workspace_id = ${tools.workspaceId}`;
  // The last line of this function has written the id.
  const from = after === null ? ["", ""] : (JSON.parse(after.id) as string[]);
  const looked = await tools.db.rows<{ cache_key: string; state_id: string; is_old: number | null }>(sql`
    select cache_key, state_id, ${isOld} as is_old from ${task_run_state_cache}
    where ${own} and (cache_key, state_id) > (${from[0]}, ${from[1]}) order by cache_key, state_id limit ${limit}`);
  const old = looked.filter(({ is_old }) => is_old === 1).map(({ cache_key, state_id }) => [cache_key, state_id]);
  if (most > 0 && old.length > 0) {
    await tools.db.run(sql`delete from ${task_run_state_cache} where ${own} and ${isOld}
      and (cache_key, state_id) in (select value->>0, value->>1 from ${each(old)})`);
  }
  const last = looked.at(-1);
  return last && looked.length === limit ? { at: 0, id: JSON.stringify([last.cache_key, last.state_id]) } : null;
}

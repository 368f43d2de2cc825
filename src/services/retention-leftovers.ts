/** Removes data that no run needs any more: logs without an existing flow run, and results that tasks cached under a cache key. */
import { type SQL, sql } from "drizzle-orm";
import { asList, each } from "#db/sql";
import { flow_run } from "#db/tables/flow-run";
import { deleteLogsOf, log_segment } from "#db/tables/log";
import { task_run_state_cache } from "#db/tables/task-run";
import type { Micros } from "#lib/clock";
import { type Page, type Place, takeRound } from "#services/retention-rounds";
import type { SweepTools, Tools } from "#tools";

/** How many runs with logs one page checks. */
const MAX_RUNS = 500;

/**
 * Checks the runs that have logs, once a day, and removes the logs of runs that do not exist. Such logs arrived after
 * the deletion of the run, or an interrupted deletion left them.
 */
export async function removeOrphanedLogs(tools: SweepTools): Promise<void> {
  const { types, orphan_cleanup_loop_seconds } = tools.settings.services.db_vacuum;
  if (!types.includes("orphans")) return;
  await takeRound(tools, {
    name: "orphaned logs",
    everySeconds: orphan_cleanup_loop_seconds,
    items: MAX_RUNS,
    table: log_segment,
    work: removeLogs,
  });
}

async function removeLogs(tools: Tools, { after, most }: Page): Promise<Place | null> {
  const limit = Math.max(1, most);
  const runs = await tools.db.rows<{ id: string; is_orphan: number }>(
    selectRuns(tools.workspaceId, after?.id ?? "", limit, most > 0),
  );
  const orphans = runs.filter(({ is_orphan }) => is_orphan === 1).map(({ id }) => id);
  if (orphans.length > 0) await tools.db.batch(deletions(tools.workspaceId, orphans));
  const last = runs.at(-1);
  return last && runs.length === limit ? { at: 0, id: last.id } : null;
}

/** The next runs that have logs, one seek for each. With `isAsked`, the rows also say whether the run does not exist. */
export function selectRuns(workspaceId: string, after: string, most = MAX_RUNS, isAsked = true): SQL {
  const following = (id: SQL) =>
    sql`select min(s.run_id) from ${log_segment} s where s.workspace_id = ${workspaceId} and s.run_id > ${id}`;
  return sql`with recursive logged(id) as (
      ${following(sql`${after}`)} union all select (${following(sql`logged.id`)}) from logged where logged.id is not null
    )
    select p.id, ${isAsked ? isOrphan(workspaceId, sql`p.id`) : sql`0`} as is_orphan
    from (select id from logged where id is not null limit ${most}) p`;
}

/** Logs of a task run without a flow run, and logs that name no run, are not orphans. */
function isOrphan(workspaceId: string, runId: SQL): SQL {
  return sql`(not exists (select 1 from ${flow_run} r where r.workspace_id = ${workspaceId} and r.id = ${runId})
    and not exists (select 1 from ${log_segment} s, json_each(${asList(sql`s.records`)}) record
      where s.workspace_id = ${workspaceId} and s.run_id = ${runId} and record.value ->> 'no_flow_run' = 1))`;
}

function deletions(workspaceId: string, runIds: readonly string[]): SQL[] {
  const orphans = sql`(select value from ${each(runIds)} given where ${isOrphan(workspaceId, sql`given.value`)})`;
  return deleteLogsOf(workspaceId, orphans);
}

/**
 * Removes cached results that have expired, and results as old as the runs that are removed. Goes through all entries
 * by their key, page by page, because an index of expirations would cost one row for each entry. An expired entry is
 * never used, so no task waits for the removal.
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
      removeCaches(own, sql`(cache_expiration <= ${begun} or created < ${oldest(begun)})`, { after, most }),
  });
}

async function removeCaches(
  tools: Tools,
  isOld: SQL,
  { after, most }: Pick<Page, "after" | "most">,
): Promise<Place | null> {
  const limit = Math.max(1, most);
  const own = sql`workspace_id = ${tools.workspaceId}`;
  // The last line of this function wrote the id.
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

/** Removes data that no run needs any more: logs without an existing flow run, and results that tasks cached under a cache key. */
import { type SQL, sql } from "drizzle-orm";
import { each, list } from "#db/sql";
import { deleteSegments, log_segment } from "#db/tables/log";
import { task_run_state_cache } from "#db/tables/task-run";
import type { Micros } from "#lib/clock";
import { isRun } from "#resources/logs/archived-bundles";
import { type Closed, type LogSegmentKey, LogSegmentReader } from "#resources/logs/records";
import { type Page, type Place, takeRound } from "#services/retention-rounds";
import type { SweepTools, Tools } from "#tools";

/** How many runs with logs one page checks. */
const MAX_RUNS = 500;
/** How many segments of missing runs one read returns. */
const MAX_SEGMENTS = 1_000;

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
  const runs = await tools.db.rows<{ id: string; is_missing: number }>(
    selectRuns(tools.workspaceId, after?.id ?? "", limit, most > 0),
  );
  const missing = runs.filter(({ is_missing }) => is_missing === 1).map(({ id }) => id);
  await removeLogsOf(tools, missing);
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
    select p.id, ${isAsked ? isMissing(workspaceId, "p.id") : sql`0`} as is_missing
    from (select id from logged where id is not null limit ${most}) p`;
}

const isMissing = (workspaceId: string, runId: string): SQL => sql`(not ${isRun(workspaceId, runId)})`;

/**
 * Opens the segments of runs that do not exist, and removes them. Logs of a task run without a flow run are not
 * orphans, and only the records show whether logs have a flow run. After the first such record the run's segments are
 * kept. A segment that cannot be read is kept too, because it may be of a newer version.
 */
async function removeLogsOf(tools: Tools, missing: readonly string[]): Promise<void> {
  const reader = new LogSegmentReader(tools);
  let runs = missing;
  for (let last: LogSegmentKey | undefined; runs.length > 0;) {
    const segments = await tools.db.rows<Closed>(selectSegments(tools.workspaceId, runs, last));
    const kept = new Set<string>();
    const orphans: LogSegmentKey[] = [];
    for await (const { segment, records } of reader.open(segments)) {
      if (records?.some((record) => record?.no_flow_run)) kept.add(segment.run_id);
      else if (records && !kept.has(segment.run_id)) orphans.push(segment);
    }
    if (orphans.length > 0)
      await tools.db.batch(
        deleteSegments(tools.workspaceId, orphans, () => isMissing(tools.workspaceId, "log_segment.run_id")),
      );
    last = segments.at(-1);
    if (!last || segments.length < MAX_SEGMENTS) return;
    const { run_id } = last;
    runs = runs.filter((id) => id >= run_id && !kept.has(id));
  }
}

/** The next segments of runs, in the order of their key. */
export function selectSegments(workspaceId: string, runIds: readonly string[], last?: LogSegmentKey): SQL {
  // With `+`, SQLite does not search the key from here on, because that would read the runs in between.
  const isAfter = last
    ? sql`(+s.run_id, s.first_timestamp, s.digest) > (${last.run_id}, ${last.first_timestamp}, ${last.digest})`
    : sql`true`;
  return sql`select s.run_id, s.first_timestamp, s.digest, octet_length(s.records) as bytes from ${log_segment} s
    where s.workspace_id = ${workspaceId} and s.run_id in ${list(runIds)} and ${isAfter}
    order by s.run_id, s.first_timestamp, s.digest limit ${MAX_SEGMENTS}`;
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

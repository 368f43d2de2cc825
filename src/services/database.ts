/** Warns when the database is nearly full, and counts the flow runs that started long ago, so that no request has to. */
import { log } from "#lib/log";
import { type DatabaseSize, MAX_DATABASE_BYTES, readDatabaseSize } from "#resources/admin/store";
import { isFirstOfHour } from "#services/turns";
import type { SweepTools } from "#tools";
import { sql } from "drizzle-orm";
import { flow_run, flow_run_count } from "#db/tables/flow-run";
import type { Micros } from "#lib/clock";
import { workspacesAfter } from "#services/sweep-store";

/** A warning is logged from this share on. */
const WARN_FROM = 0.8;

/** Logs a warning in the first turn of each hour while the database is nearly full. */
export async function watchSize(tools: SweepTools, limit = MAX_DATABASE_BYTES): Promise<void> {
  if (!isFirstOfHour(tools.clock())) return;
  const warning = sizeWarning(await readDatabaseSize(tools.db, limit));
  if (warning !== null) log(tools, "warn", warning);
}

/** The warning about a size; null if the database has room. */
export function sizeWarning({ size_bytes, limit_bytes, share }: DatabaseSize): string | null {
  if (share < WARN_FROM) return null;
  return (
    `the database has ${size_bytes} of ${limit_bytes} bytes (${Math.floor(share * 100)} %), and when it is full nothing can be ` +
    "written: keep runs and events for a shorter time (docs/services.md, Retention)"
  );
}

/** Runs that started at least this long ago are counted permanently, because few of them still change. */
const AGE: Micros = 60_000_000;
/** The count of a workspace is written after it has grown by this many runs. Until then each reader counts these runs. */
const MIN_GROWTH = 1_000;

/**
 * Counts the runs that became old in the last minute, in one statement. The triggers of the table count changes before
 * and after the statement. If the statement runs twice, no run is counted twice.
 */
export async function countOldRuns(tools: SweepTools): Promise<void> {
  const before = tools.clock() - AGE;
  const start = sql`coalesce("start_time", "expected_start_time")`;
  const grown = sql`(select count(*) from ${flow_run} r where r.workspace_id = w.id
    and ${start} >= coalesce(c.before, -9e18) and ${start} < ${before})`;
  await tools.db.run(sql`with recursive ${workspacesAfter("", flow_run)},
    growth as materialized (
      select w.id, coalesce(c.count, 0) as counted, ${grown} as grown
      from w left join ${flow_run_count} c on c.workspace_id = w.id
      where w.id is not null
    )
    insert into ${flow_run_count} (workspace_id, before, count)
    select id, ${before}, counted + grown from growth where grown >= ${MIN_GROWTH}
    on conflict (workspace_id) do update set before = excluded.before, count = excluded.count
      where excluded.before > ${flow_run_count.before}`);
}

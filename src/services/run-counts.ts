/** Keeps the counts of flow runs, so that no request has to count the runs that started long ago. See the table `flow_run_count`. */
import { sql } from "drizzle-orm";
import { flow_run, flow_run_count } from "#db/tables/flow-run";
import type { Micros } from "#lib/clock";
import { workspacesAfter } from "#services/sweep-store";
import type { SweepTools } from "#tools";

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

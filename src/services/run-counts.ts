/** Keeps the counts of flow runs, so that no request counts the runs that started long ago; see the table `flow_run_count`. */
import { sql } from "drizzle-orm";
import { flow_run, flow_run_count } from "#db/tables/flow-run";
import type { Micros } from "#lib/clock";
import { workspacesAfter } from "#services/sweep-store";
import type { SweepTools } from "#tools";

/** Runs that start this long ago at least are counted for good: few of them still move. */
const AGE: Micros = 60_000_000;
/** The count of a workspace is written once it has grown by so many runs; until then each reader counts these. */
const MIN_GROWTH = 1_000;

/**
 * Counts the runs that a minute has made old, in one statement. A change before or after the statement is counted by the
 * triggers of the table. Run twice, the statement counts no run twice.
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

/** Keeps the counts of flow runs from being made again for what is long past; see the table `flow_run_count`. */
import { sql } from "drizzle-orm";
import { flow_run, flow_run_count } from "#db/tables/flow-run";
import type { Micros } from "#lib/clock";
import type { Tools } from "#tools";

/** Runs that start this long ago at least are counted for good: few of them still move. */
const AGE: Micros = 60_000_000;
/** A workspace's count is written once it has grown by so many; until then whoever asks counts these. */
const MIN_GROWTH = 1_000;

/**
 * Counts the runs that a minute has made old, in one statement: the triggers see all that comes before it or after it. Run
 * twice, it counts nothing twice.
 */
export async function countOldRuns(tools: Tools): Promise<void> {
  const before = tools.clock() - AGE;
  const grown = sql`(select count(*) from ${flow_run} r where r.workspace_id = w.id
    and coalesce("start_time", "expected_start_time") >= coalesce(c.before, -9e18)
    and coalesce("start_time", "expected_start_time") < ${before})`;
  await tools.db.run(sql`
    with recursive workspace(id) as (
      select min(workspace_id) from ${flow_run}
      union all
      select (select min(workspace_id) from ${flow_run} where workspace_id > workspace.id) from workspace
      where workspace.id is not null
    ),
    growth as materialized (
      select w.id, coalesce(c.count, 0) as counted, ${grown} as grown
      from workspace w left join ${flow_run_count} c on c.workspace_id = w.id
      where w.id is not null
    )
    insert into ${flow_run_count} (workspace_id, before, count)
    select id, ${before}, counted + grown from growth where grown >= ${MIN_GROWTH}
    on conflict (workspace_id) do update set before = excluded.before, count = excluded.count
      where excluded.before > ${flow_run_count.before}`);
}

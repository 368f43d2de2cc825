/** Keeps the counts of flow runs, so that no request counts the runs that started long ago; see the table `flow_run_count`. */
import type { Micros } from "#lib/clock";
import { countRunsBefore } from "#services/sweep-store";
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
  await tools.db.run(countRunsBefore(tools.clock() - AGE, MIN_GROWTH));
}

/** Finds flow runs that have not ended, by the small index of these runs. */
import { type SQL, sql } from "drizzle-orm";
import { flow_run } from "#db/tables/flow-run";

/**
 * The names of states before the end. A client may give such a name to the last state of a run: these few runs are in the index
 * `flow_run_ended_as_live`, whose condition has the same names.
 */
const LIVE_NAMES = [
  "Scheduled",
  "Late",
  "AwaitingRetry",
  "AwaitingConcurrencySlot",
  "Pending",
  "Running",
  "Retrying",
  "Paused",
  "Suspended",
  "Cancelling",
];

/** Whether there are names, and all of them are names of states before the end. */
export const areLiveNames = (names: readonly string[]): boolean =>
  names.length > 0 && names.every((name) => LIVE_NAMES.includes(name));

/** Selects the ids of the runs that have not ended. */
export const liveRuns = (
  workspaceId: string,
): SQL => sql`select live.id from ${flow_run} as live indexed by flow_run_live
  where live.end_time is null and live.workspace_id = ${workspaceId}`;

/** Selects the ids of all runs whose state may have one of these names; undefined if the small indexes do not have all of them. */
export function liveRunsNamed(names: readonly string[], workspaceId: string): SQL | undefined {
  if (!areLiveNames(names)) return undefined;
  return sql`${liveRuns(workspaceId)} union all
    select ended.id from ${flow_run} as ended indexed by flow_run_ended_as_live
    where ended.workspace_id = ${workspaceId} and ended.end_time is not null
      and ended.state_name in (${sql.raw(LIVE_NAMES.map((name) => `'${name}'`).join(", "))})`;
}

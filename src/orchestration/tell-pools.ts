/** Notifies the WorkPool objects, after a commit, of the runs that were created or changed. */
import { log } from "#lib/log";
import { noticeRuns } from "#objects/work-pool/client";
import type { LoadedRow } from "#orchestration/load-flow-run";
import { HOLDING_STATES } from "#orchestration/transition";
import type { Tools } from "#tools";
import type { StateType } from "#wire/state";
import type { LiveRun } from "#objects/work-pool/messages";

/** The run's data for the WorkPool object; null for a run without a work pool. */
export function liveRunOf(row: LoadedRow, type: StateType): LiveRun | null {
  const { id, work_queue_id, pool_id, pool_name, next_scheduled_start_time: due } = row;
  if (work_queue_id === null || pool_id === null || pool_name === null) return null;
  return { id, work_pool_id: pool_id, work_pool_name: pool_name, work_queue_id, state_type: type, due };
}

/**
 * Whether the object of a work pool needs a notice that a run went from one state type to another. It needs none if the
 * run has a slot before and after.
 */
export function isNewsToPool(from: StateType | null, to: StateType): boolean {
  return !HOLDING_STATES.has(from) || !HOLDING_STATES.has(to);
}

/** Notifies the WorkPool objects. A failure is logged: the object finds the runs in D1 later. */
export async function tellPools(tools: Tools, runs: readonly LiveRun[]): Promise<void> {
  if (runs.length === 0) return;
  try {
    await noticeRuns(tools, runs);
  } catch (error) {
    log(tools, "error", "a work pool's object was not told of its runs", { error });
  }
}

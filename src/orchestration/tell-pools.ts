/** After a commit: the work pools' objects learn of the runs that were made or changed. */
import { log } from "#lib/log";
import { noticeRuns } from "#objects/work-pool/client";
import type { LoadedRow } from "#orchestration/loaded";
import { HOLDING_STATES } from "#orchestration/transition";
import type { Tools } from "#tools";
import type { StateType } from "#wire/state";
import type { LiveRun } from "#objects/work-pool/messages";

/** What a pool's object must know of a run as it stands; null for a run without a pool. */
export function liveRunOf(row: LoadedRow, type: StateType): LiveRun | null {
  if (row.work_queue_id === null || row.p_id === null || row.p_name === null) return null;
  return {
    id: row.id,
    work_pool_id: row.p_id,
    work_pool_name: row.p_name,
    work_queue_id: row.work_queue_id,
    state_type: type,
    due: row.next_scheduled_start_time,
  };
}

/** Whether a pool has to hear of a run that went from one type to another: not where it holds its slot just as before. */
export function isNewsToPool(from: StateType | null, to: StateType): boolean {
  return !HOLDING_STATES.has(from) || !HOLDING_STATES.has(to);
}

/** Tells the pools. An object that cannot be told repairs itself from D1, and what was committed stands all the same. */
export async function tellPools(tools: Tools, runs: readonly LiveRun[]): Promise<void> {
  if (runs.length === 0) return;
  try {
    await noticeRuns(tools, runs);
  } catch (error) {
    log(tools, "error", "a work pool's object was not told of its runs", { error });
  }
}

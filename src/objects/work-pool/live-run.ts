/** What a work pool's object must know of a run that was made or changed. */
import type { Micros } from "#lib/clock";
import type { StateType } from "#wire/state";

/** A run of a work pool after a commit. Runs without a pool are nobody's business here. */
export interface LiveRun {
  id: string;
  work_pool_id: string;
  work_pool_name: string;
  work_queue_id: string;
  state_type: StateType | null;
  /** `next_scheduled_start_time`, in microseconds. */
  due: Micros | null;
}

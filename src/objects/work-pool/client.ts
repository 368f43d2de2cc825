/** What the rest of the code asks of, and tells, the `WorkPool` objects. */
import type { LiveRun } from "#objects/work-pool/live-run";
import type { Tools } from "#tools";

/** Tells the pools' objects of runs that were made or changed, after the commit; one call for each pool among them. */
export async function noticeRuns(_tools: Tools, _runs: readonly LiveRun[]): Promise<void> {}

/** Tells a pool's object, after the commit, that the pool or its queues were made, changed or removed. */
export async function poolChanged(_tools: Tools, _poolName: string): Promise<void> {}

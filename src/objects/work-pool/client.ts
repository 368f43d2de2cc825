/** How the rest of the code calls the `WorkPool` objects. */
import type { Env } from "#env";
import { objectClient, objectStub, tell } from "#objects/client";
import { isWorkerless, type TimedOutRun, timeoutMessage } from "#objects/work-pool/cleanup-message";
import { type LiveRun, type PoolLiveness, type RunNote, WORK_POOL } from "#objects/work-pool/messages";
import type { Tools } from "#tools";

export { isWorkerless };

/** A pool as far as its object is named by it. */
interface Named {
  id: string;
  name: string;
}

/** The object of the pool of this name. */
export const workPool = ({ env, workspaceId: workspace, cost }: Tools, name: string) =>
  objectClient(WORK_POOL, env.WORK_POOL, { workspace, name }, cost);

/** The object of the pool of this name, for upgrades. */
export function workPoolStub(env: Env, workspace: string, name: string): DurableObjectStub {
  return objectStub(env.WORK_POOL, { workspace, name });
}

/** Tells the pools' objects of runs that were made or changed, after the commit; one call for each pool among them. */
export async function noticeRuns(tools: Tools, runs: readonly LiveRun[]): Promise<void> {
  const byPool = Map.groupBy(runs, (run) => `${run.work_pool_id} ${run.work_pool_name}`);
  await Promise.all(
    [...byPool.values()].map(async ([first, ...others]) => {
      if (first) await workPool(tools, first.work_pool_name).notice(first.work_pool_id, [first, ...others].map(noteOf));
    }),
  );
}

function noteOf(run: LiveRun): RunNote {
  switch (run.state_type) {
    case "SCHEDULED":
      return [run.id, run.work_queue_id, run.due];
    case "PENDING":
    case "RUNNING":
    case "CANCELLING":
      return [run.id, run.work_queue_id, "holds"];
    default:
      return [run.id, run.work_queue_id, null];
  }
}

/** A run of a work pool for which a slot is wanted. */
export interface WantedPoolSlot extends Pick<LiveRun, "work_pool_id" | "work_pool_name" | "work_queue_id"> {
  run_id: string;
}

/** Takes a slot for a run, as `take` of the contract says. */
export function takePoolSlot(
  tools: Tools,
  { work_pool_id, work_pool_name, work_queue_id, run_id }: WantedPoolSlot,
): Promise<boolean> {
  return workPool(tools, work_pool_name).take(work_pool_id, work_queue_id, run_id);
}

/**
 * Tells a pool's object, after the commit, that the pool or its queues were made, changed or removed. If the call
 * fails, the object finds out by itself a little later.
 */
export function poolChanged(tools: Tools, poolName: string): Promise<void> {
  const message = "a work pool's object was not told of a change";
  return tell(tools, message, { work_pool_name: poolName }, () => workPool(tools, poolName).change());
}

/** Tells a pool's object, after the commit, of new or moved deployments, so that they are READY with the next poll of their queue. */
export function noticeDeployments(tools: Tools, poolName: string, queueIds: readonly string[]): Promise<void> {
  const message = "a work pool's object was not told of deployments";
  const call = () => workPool(tools, poolName).noticeDeployments([...queueIds]);
  return tell(tools, message, { work_pool_name: poolName }, call);
}

/** The status of these pools and of their queues, by the ids of the pools; each pool's object is asked once. */
export async function readLiveness(tools: Tools, pools: readonly Named[]): Promise<Map<string, PoolLiveness>> {
  const asked = [...new Map(pools.map((pool) => [pool.id, pool])).values()];
  const found = await Promise.all(
    asked.map(async ({ id, name }) => [id, await workPool(tools, name).liveness(id)] as const),
  );
  return new Map(found.flatMap(([id, liveness]) => (liveness ? [[id, liveness]] : [])));
}

/**
 * Has a worker of the pool tear down the infrastructure of a run whose cancellation timed out; to be called after its
 * Cancelled is committed. Called again for the same state it changes nothing, so a caller whose call failed calls again. Whether
 * there is a message now: not for pools without workers, nor for a pool that was deleted.
 */
export async function enqueueCleanup(tools: Tools, pool: Named & { type: string }, run: TimedOutRun): Promise<boolean> {
  if (isWorkerless(pool.type)) return false;
  return workPool(tools, pool.name).enqueueCleanup(pool.id, timeoutMessage(run));
}

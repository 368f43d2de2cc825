/** What the rest of the code asks of, and tells, the `WorkPool` objects. */
import type { Env } from "#env";
import { log } from "#lib/log";
import { objectClient, objectName } from "#objects/client";
import { isWorkerless, type TimedOutRun, timeoutMessage } from "#objects/work-pool/cleanup-message";
import type {
  LiveRun,
  Offer,
  PollAnswer,
  PollAsk,
  QueuePollAsk,
  RunNote,
  Standing,
  Vitals,
  WorkPoolMethods,
  WorkerAnswer,
} from "#objects/work-pool/messages";
import type { Tools } from "#tools";

export { isWorkerless };

/** A pool as far as its object is named by it. */
interface Named {
  id: string;
  name: string;
}

const clientOf = (tools: Tools, name: string) =>
  objectClient<WorkPoolMethods>(tools.env.WORK_POOL, objectName(tools.workspaceId, name), tools.cost);

/** The object of the pool of this name, for upgrades. */
export function workPoolStub(env: Env, workspaceId: string, name: string): DurableObjectStub {
  return env.WORK_POOL.get(env.WORK_POOL.idFromName(objectName(workspaceId, name)));
}

const identity = (tools: Tools, name: string) => ({ workspace: tools.workspaceId, name });

/** Tells the pools' objects of runs that were made or changed, after the commit; one call for each pool among them. */
export async function noticeRuns(tools: Tools, runs: readonly LiveRun[]): Promise<void> {
  const byPool = Map.groupBy(runs, (run) => `${run.work_pool_id} ${run.work_pool_name}`);
  await Promise.all([...byPool.values()].map((ofPool) => notice(tools, ofPool)));
}

async function notice(tools: Tools, runs: readonly LiveRun[]): Promise<void> {
  const [first] = runs;
  if (!first) return;
  await clientOf(tools, first.work_pool_name).notice(
    identity(tools, first.work_pool_name),
    first.work_pool_id,
    runs.map(noteOf),
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
export interface WantedPoolSlot {
  work_pool_id: string;
  work_pool_name: string;
  work_queue_id: string;
  run_id: string;
}

/**
 * Takes a slot of the pool and of the queue for a run, before its PENDING is committed. True: the run holds one from now
 * on, as it may have done before, or there is no such pool or queue; false: none is free, and nothing has changed. The pool
 * need not be told of the PENDING after it. If that is never committed, the object finds out in D1 before long.
 */
export function takePoolSlot(
  tools: Tools,
  { work_pool_id, work_pool_name, work_queue_id, run_id }: WantedPoolSlot,
): Promise<boolean> {
  return clientOf(tools, work_pool_name).take(identity(tools, work_pool_name), work_pool_id, work_queue_id, run_id);
}

/**
 * Tells a pool's object, after the commit, that the pool or its queues were made, changed or removed. If it cannot be
 * told, it finds out by itself a little later; the change stands all the same.
 */
export async function poolChanged(tools: Tools, poolName: string): Promise<void> {
  try {
    await clientOf(tools, poolName).change(identity(tools, poolName));
  } catch (error) {
    log(tools, "error", "a work pool's object was not told of a change", { work_pool_name: poolName, error });
  }
}

/** Tells a pool's object, after the commit, of new or moved deployments, so that they are READY with the next poll of their queue. */
export async function noticeDeployments(tools: Tools, poolName: string, queueIds: readonly string[]): Promise<void> {
  try {
    await clientOf(tools, poolName).noticeDeployments(identity(tools, poolName), [...queueIds]);
  } catch (error) {
    log(tools, "error", "a work pool's object was not told of deployments", { work_pool_name: poolName, error });
  }
}

/** Which runs a worker of the pool may have now. */
export function pollPool(tools: Tools, poolName: string, ask: PollAsk): Promise<PollAnswer> {
  return clientOf(tools, poolName).poll(identity(tools, poolName), ask);
}

/** Which runs one who polls the queue may have now. */
export function pollQueue(tools: Tools, pool: Named, ask: QueuePollAsk): Promise<PollAnswer> {
  return clientOf(tools, pool.name).pollQueue(identity(tools, pool.name), pool.id, ask);
}

/** Notes that a worker is alive; whether there is such a pool. */
export function noteHeartbeat(
  tools: Tools,
  poolName: string,
  worker: string,
  intervalSeconds: number | null,
): Promise<boolean> {
  return clientOf(tools, poolName).heartbeat(identity(tools, poolName), worker, intervalSeconds);
}

/** Who is alive in these pools, by the pools' ids; each pool's object is asked once. */
export async function readVitals(tools: Tools, pools: readonly Named[]): Promise<Map<string, Vitals>> {
  const asked = [...new Map(pools.map((pool) => [pool.id, pool])).values()];
  const found = await Promise.all(
    asked.map(
      async (pool) => [pool.id, await clientOf(tools, pool.name).vitals(identity(tools, pool.name), pool.id)] as const,
    ),
  );
  return new Map(found.flatMap(([id, vitals]) => (vitals ? [[id, vitals]] : [])));
}

/** How a scheduled run stands in its pool; null where there is no such pool or queue. */
export function readStanding(tools: Tools, pool: Named, run: Offer): Promise<Standing | null> {
  return clientOf(tools, pool.name).standing(identity(tools, pool.name), pool.id, run);
}

/** Has a pool's object tell D1 at once what it would tell it in a moment, for a change that builds upon it. */
export async function reportNow(tools: Tools, poolName: string): Promise<void> {
  await clientOf(tools, poolName).reportNow(identity(tools, poolName));
}

/** The workers of a pool. */
export function readWorkers(tools: Tools, pool: Named): Promise<WorkerAnswer[]> {
  return clientOf(tools, pool.name).workers(identity(tools, pool.name), pool.id);
}

/** Forgets a worker; whether it was known. */
export function deleteWorker(tools: Tools, pool: Named, worker: string): Promise<boolean> {
  return clientOf(tools, pool.name).deleteWorker(identity(tools, pool.name), pool.id, worker);
}

/**
 * Has a worker of the pool tear down the infrastructure of a run whose cancellation timed out; to be called after its
 * Cancelled is committed. Called again for the same state it changes nothing, so a caller who does not know whether it came to
 * it calls again. Whether a message is there: not for pools without workers, nor for one that is gone.
 */
export async function enqueueCleanup(tools: Tools, pool: Named & { type: string }, run: TimedOutRun): Promise<boolean> {
  if (isWorkerless(pool.type)) return false;
  return clientOf(tools, pool.name).enqueueCleanup(identity(tools, pool.name), pool.id, await timeoutMessage(run));
}

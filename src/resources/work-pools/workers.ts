/** The workers of a pool, which its object knows. */
import { matchesWorker, type WorkerFilter } from "#filters/workers";
import { refused } from "#lib/api-error";
import { workPool } from "#objects/work-pool/client";
import { findPool, missingPool } from "#resources/work-pools/pools";
import type { Tools } from "#tools";
import { printTime } from "#wire/dates";

/** `POST /work_pools/{name}/workers/heartbeat` */
export async function recordHeartbeat(
  tools: Tools,
  poolName: string,
  worker: string,
  intervalSeconds: number | null,
): Promise<void> {
  if (!(await workPool(tools, poolName).heartbeat(worker, intervalSeconds))) throw missingPool(poolName);
}

/** `POST /work_pools/{name}/workers/filter`: the workers with the latest heartbeats come first. */
export async function listWorkers(
  tools: Tools,
  poolName: string,
  filter: WorkerFilter | null | undefined,
  limit: number,
  offset: number,
) {
  const pool = await findPool(tools, poolName);
  const workers = await workPool(tools, pool.name).workers(pool.id);
  return workers
    .map((worker) => ({
      ...worker,
      last_heartbeat_time: worker.last_heartbeat,
      status: worker.is_online ? ("ONLINE" as const) : ("OFFLINE" as const),
    }))
    .filter((worker) => !filter || matchesWorker(filter, worker))
    .toSorted((a, b) => b.last_heartbeat - a.last_heartbeat)
    .slice(offset, offset + limit)
    .map((worker) => ({
      id: worker.id,
      created: printTime(worker.created),
      updated: printTime(worker.last_heartbeat),
      name: worker.name,
      work_pool_id: pool.id,
      last_heartbeat_time: printTime(worker.last_heartbeat),
      heartbeat_interval_seconds: worker.interval_seconds,
      status: worker.status,
    }));
}

/** `DELETE /work_pools/{name}/workers/{worker}` */
export async function removeWorker(tools: Tools, poolName: string, worker: string): Promise<void> {
  const pool = await findPool(tools, poolName);
  if (!(await workPool(tools, pool.name).deleteWorker(pool.id, worker))) throw refused(404, "Worker not found.");
}

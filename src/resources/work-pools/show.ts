/** Prints pools, queues and workers for answers. The pools' objects give the liveness, D1 the runs in slots. */
import { readJson } from "#db/database";
import { matchesWorker, type WorkerFilter } from "#filters/workers";
import { refused } from "#lib/api-error";
import type { Micros } from "#lib/clock";
import { compareVersions, parseVersion } from "#lib/versions";
import { readLiveness, workPool } from "#objects/work-pool/client";
import type { PoolLiveness } from "#objects/work-pool/messages";
import {
  type Counted,
  POOL_SLOT_TYPES,
  QUEUE_SLOT_TYPES,
  type QueueWithPool,
  type SlotHolder,
  type WorkPoolRow,
  workPools,
  WorkPoolStore,
  workQueues,
} from "#resources/work-pools/store";
import type { Tools } from "#tools";
import { printOptionalTime, printTime } from "#wire/dates";
import { pageOf } from "#wire/paging";

/** A work pool as answers show it. Prefect: pools of agents have no status. */
export function printWorkPool(row: Counted<WorkPoolRow>, status: string | null = row.status) {
  return {
    ...workPools.print(row),
    status: poolStatus(row, status),
    storage_configuration: {
      bundle_upload_step: null,
      bundle_execution_step: null,
      default_result_storage_block_id: null,
      ...readJson<Record<string, unknown>>(row.storage_configuration),
    },
    active_slots: row.active_slots,
  };
}

/** A pool's status: null for agents' pools, PAUSED for paused pools, else `status`. */
export function poolStatus(row: Pick<WorkPoolRow, "type" | "is_paused">, status: string | null): string | null {
  if (row.type === "prefect-agent") return null;
  return row.is_paused === 1 ? "PAUSED" : status;
}

/** A work queue as answers show it. */
export function printWorkQueue(row: Counted<QueueWithPool>, live: PoolLiveness["queues"][string] | null) {
  return {
    ...workQueues.print(row),
    last_polled: printOptionalTime(live?.last_polled ?? row.last_polled),
    work_pool_name: row.work_pool_name,
    status: row.status === "PAUSED" ? row.status : (live?.status ?? row.status),
    active_slots: row.active_slots,
  };
}

/** A run in a slot as answers show it. */
function printSlotHolder(run: SlotHolder, now: Micros) {
  const { work_queue_id: _, ...shown } = run;
  return {
    ...shown,
    start_time: printOptionalTime(run.start_time),
    state_timestamp: printOptionalTime(run.state_timestamp),
    time_in_current_state: run.state_timestamp === null ? null : (now - run.state_timestamp) / 1_000_000,
  };
}

/** Prefect: the last version of the client that fails on an unknown field. */
const NARROW_CLIENT = [3, 3, 7] as const;

/** Shows work pools. The objects of paused pools and of agents' pools are not called, because the status does not depend on them. */
export async function showPools(tools: Tools, pools: readonly Counted<WorkPoolRow>[]) {
  const asked = pools.filter((pool) => pool.type !== "prefect-agent" && pool.is_paused === 0);
  const liveness = await readLiveness(tools, asked);
  return pools.map((pool) => narrowed(tools, printWorkPool(pool, liveness.get(pool.id)?.status)));
}

/** Shows work queues. */
export async function showQueues(tools: Tools, queues: readonly Counted<QueueWithPool>[]) {
  const pools = queues.map((queue) => ({ id: queue.work_pool_id, name: queue.work_pool_name }));
  const liveness = await readLiveness(tools, pools);
  return queues.map((queue) => printWorkQueue(queue, liveness.get(queue.work_pool_id)?.queues[queue.id] ?? null));
}

/** The pool without the field on which an old client fails. */
export function narrowed(tools: Tools, pool: ReturnType<typeof printWorkPool>) {
  if (!isNarrow(tools.client.version)) return pool;
  const { default_result_storage_block_id: _, ...storage } = pool.storage_configuration;
  return { ...pool, storage_configuration: storage };
}

function isNarrow(version: string | null): boolean {
  const parsed = parseVersion(version ?? "");
  return parsed !== null && compareVersions(parsed, NARROW_CLIENT) <= 0;
}

/** Shows a part of the workers of a pool that match a filter, the latest heartbeats first. */
export async function showWorkers(
  tools: Tools,
  pool: WorkPoolRow,
  filter: WorkerFilter | null | undefined,
  { limit, offset }: { limit: number; offset: number },
) {
  return (await workPool(tools, pool.name).workers(pool.id))
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

/** Prefect: every queue has the default policy. */
const POLICY = { maximum_late_runs: 0, maximum_seconds_since_last_polled: 60 };

/** `GET /work_queues/{id}/status`, or undefined if the queue does not exist. */
export async function readQueueStatus(tools: Tools, id: string) {
  const store = new WorkPoolStore(tools);
  const queue = await store.readCountedQueue({ id }, POOL_SLOT_TYPES);
  if (!queue) return undefined;
  const late = await store.countLateRuns(id);
  const liveness = await readLiveness(tools, [{ id: queue.work_pool_id, name: queue.work_pool_name }]);
  const lastPolled = liveness.get(queue.work_pool_id)?.queues[id]?.last_polled ?? queue.last_polled;
  const isPolled =
    lastPolled !== null && tools.clock() - lastPolled <= POLICY.maximum_seconds_since_last_polled * 1_000_000;
  return {
    healthy: late <= POLICY.maximum_late_runs && isPolled,
    late_runs_count: late,
    last_polled: printOptionalTime(lastPolled),
    health_check_policy: POLICY,
  };
}

interface PageAsked {
  page: number;
  limit: number;
}

/** `POST /work_pools/{name}/concurrency_status`: a page of the queues, with some runs of each queue. */
export async function readPoolConcurrency(tools: Tools, name: string, asked: PageAsked & { flow_run_limit: number }) {
  const { page, limit, flow_run_limit } = asked;
  const store = new WorkPoolStore(tools);
  const { pool, queues } = await store.readPoolWithQueues(name);
  if (!pool) throw refused(404, `Work pool '${name}' not found.`);
  const shown = queues.slice((page - 1) * limit, page * limit);
  const counts = await store.countSlotHolders(idsOf(queues), POOL_SLOT_TYPES);
  const holders = counts.size > 0 ? await store.readSlotHolders(idsOf(shown), POOL_SLOT_TYPES, flow_run_limit) : [];
  const now = tools.clock();
  const { results, ...rest } = pageOf(shown, queues.length, limit, page);
  return {
    active_slots: [...counts.values()].reduce((sum, count) => sum + count, 0),
    concurrency_limit: pool.concurrency_limit,
    queues: results.map(({ id, name, concurrency_limit }) => ({
      queue_id: id,
      queue_name: name,
      active_slots: counts.get(id) ?? 0,
      concurrency_limit,
      flow_runs: holders.filter((run) => run.work_queue_id === id).map((run) => printSlotHolder(run, now)),
      flow_run_count: counts.get(id) ?? 0,
    })),
    ...rest,
  };
}

const idsOf = (queues: readonly { id: string }[]) => queues.map(({ id }) => id);

/** `POST /work_queues/{id}/concurrency_status`: a page of the runs. */
export async function readQueueConcurrency(tools: Tools, id: string, { page, limit }: PageAsked) {
  const store = new WorkPoolStore(tools);
  const queue = await store.readCountedQueue({ id }, QUEUE_SLOT_TYPES);
  if (!queue) throw refused(404, "Work queue not found.");
  const count = (await store.countSlotHolders([id], QUEUE_SLOT_TYPES)).get(id) ?? 0;
  const holders = count > 0 ? await store.readSlotHolders([id], QUEUE_SLOT_TYPES, limit, (page - 1) * limit) : [];
  const now = tools.clock();
  const { results, ...rest } = pageOf(holders, count, limit, page);
  const flow_runs = results.map((run) => printSlotHolder(run, now));
  return { active_slots: count, concurrency_limit: queue.concurrency_limit, flow_runs, ...rest };
}

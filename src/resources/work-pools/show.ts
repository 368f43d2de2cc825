/** Pools and queues as answers show them, with the liveness that the pools' objects know. */
import { readLiveness } from "#objects/work-pool/client";
import { compareVersions, parseVersion } from "#lib/versions";
import {
  type Counted,
  POOL_SLOT_TYPES,
  printWorkPool,
  printWorkQueue,
  type QueueWithPool,
  type WorkPoolRow,
  WorkPoolStore,
} from "#resources/work-pools/store";
import type { Tools } from "#tools";
import { printOptionalTime } from "#wire/dates";

/** Prefect: the last version of the client that fails on a field it does not know. */
const NARROW_CLIENT = [3, 3, 7] as const;

/** Shows work pools. The objects of paused pools and of agents' pools are not asked, as the status does not depend on them. */
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

/** The pool without the field that would fail the client. */
export function narrowed(tools: Tools, pool: ReturnType<typeof printWorkPool>) {
  if (!isNarrow(tools.client.version)) return pool;
  const { default_result_storage_block_id: _, ...storage } = pool.storage_configuration;
  return { ...pool, storage_configuration: storage };
}

function isNarrow(version: string | null): boolean {
  const parsed = parseVersion(version ?? "");
  return parsed !== null && compareVersions(parsed, NARROW_CLIENT) <= 0;
}

/** Prefect: every queue has the default policy. */
const POLICY = { maximum_late_runs: 0, maximum_seconds_since_last_polled: 60 };

/** `GET /work_queues/{id}/status`, or undefined where there is no such queue. */
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

/** Whether a work queue is healthy: polled lately, and without late runs. */
import { readLiveness } from "#objects/work-pool/client";
import { POOL_SLOT_TYPES, WorkPoolStore } from "#resources/work-pools/store";
import type { Tools } from "#tools";
import { printOptionalTime } from "#wire/dates";

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

/** Which runs occupy the slots of a pool or a queue. */
import { refused } from "#lib/api-error";
import { POOL_SLOT_TYPES, printSlotHolder, QUEUE_SLOT_TYPES, WorkPoolStore } from "#resources/work-pools/store";
import type { Tools } from "#tools";

interface PageAsked {
  page: number;
  limit: number;
}

const pages = (count: number, limit: number) => (limit > 0 ? Math.ceil(count / limit) : 0);

/** `POST /work_pools/{name}/concurrency_status`: a page of the queues, with some of each one's runs. */
export async function readPoolConcurrency(tools: Tools, name: string, asked: PageAsked & { flow_run_limit: number }) {
  const store = new WorkPoolStore(tools);
  const { pool, queues } = await store.readPoolWithQueues(name);
  if (!pool) throw refused(404, `Work pool '${name}' not found.`);
  const shown = queues.slice((asked.page - 1) * asked.limit, asked.page * asked.limit);
  const counts = await store.countSlotHolders(idsOf(queues), POOL_SLOT_TYPES);
  const holders =
    counts.size > 0 ? await store.readSlotHolders(idsOf(shown), POOL_SLOT_TYPES, asked.flow_run_limit) : [];
  const now = tools.clock();
  return {
    active_slots: [...counts.values()].reduce((sum, count) => sum + count, 0),
    concurrency_limit: pool.concurrency_limit,
    queues: shown.map((queue) => ({
      queue_id: queue.id,
      queue_name: queue.name,
      active_slots: counts.get(queue.id) ?? 0,
      concurrency_limit: queue.concurrency_limit,
      flow_runs: holders.filter((run) => run.work_queue_id === queue.id).map((run) => printSlotHolder(run, now)),
      flow_run_count: counts.get(queue.id) ?? 0,
    })),
    count: queues.length,
    limit: asked.limit,
    pages: pages(queues.length, asked.limit),
    page: asked.page,
  };
}

const idsOf = (queues: readonly { id: string }[]) => queues.map(({ id }) => id);

/** `POST /work_queues/{id}/concurrency_status`: a page of the runs. */
export async function readQueueConcurrency(tools: Tools, id: string, { page, limit }: PageAsked) {
  const store = new WorkPoolStore(tools);
  const queue = await store.readCountedQueue({ id }, QUEUE_SLOT_TYPES);
  if (!queue) throw refused(404, "Work queue not found.");
  const counts = await store.countSlotHolders([id], QUEUE_SLOT_TYPES);
  const count = counts.get(id) ?? 0;
  const holders = count > 0 ? await store.readSlotHolders([id], QUEUE_SLOT_TYPES, limit, (page - 1) * limit) : [];
  const now = tools.clock();
  return {
    active_slots: count,
    concurrency_limit: queue.concurrency_limit,
    flow_runs: holders.map((run) => printSlotHolder(run, now)),
    count,
    limit,
    pages: pages(count, limit),
    page,
  };
}

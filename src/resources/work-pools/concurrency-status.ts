/** Which runs occupy the slots of a pool or a queue. */
import { refused } from "#lib/api-error";
import { POOL_SLOT_TYPES, printSlotHolder, QUEUE_SLOT_TYPES, WorkPoolStore } from "#resources/work-pools/store";
import type { Tools } from "#tools";
import { pageOf } from "#wire/paging";

interface PageAsked {
  page: number;
  limit: number;
}

/** `POST /work_pools/{name}/concurrency_status`: a page of the queues, with some of each one's runs. */
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

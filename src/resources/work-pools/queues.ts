/** Makes, changes and removes the queues of a work pool, by whatever route. */
import { conflict, integrityConflict } from "#lib/api-error";
import { poolChanged, readLiveness } from "#objects/work-pool/client";
import { announce, queueEvent, queueStatusEvent, updatesOf } from "#resources/work-pools/announce";
import { birthEvents, isTaken, newPool, newQueue } from "#resources/work-pools/create-work-pool";
import {
  type QueueWithPool,
  type WorkPoolRow,
  WorkPoolStore,
  type WorkQueueRow,
  workQueues,
} from "#resources/work-pools/store";
import { freePriority, reorderQueues } from "#resources/work-pools/queue-priorities";
import type { WorkQueueCreate, WorkQueueUpdate } from "#resources/work-pools/queue-schema";
import type { Tools } from "#tools";
import { WorkPoolCreate } from "#resources/work-pools/schema";

/** Prefect: the pool of queues that were made without one. */
export const AGENT_POOL = "default-agent-pool";

const storeOf = (tools: Tools) => new WorkPoolStore(tools);

/** Writes a new queue into a pool whose queues were just read; those that stand in its way move over. */
export async function addQueue(
  tools: Tools,
  pool: Pick<WorkPoolRow, "id" | "name" | "type">,
  present: readonly Pick<WorkQueueRow, "id" | "priority">[],
  body: WorkQueueCreate,
): Promise<QueueWithPool> {
  const store = storeOf(tools);
  const priority = body.priority ?? freePriority(present.map((queue) => queue.priority));
  const row = newQueue(tools, pool.id, { ...body, priority });
  const moved = body.priority ? reorderQueues([...present, row], row) : [];
  await tools.db.batch([
    store.insertQueue(row),
    ...(moved.length > 0 ? [store.setPriorities(moved, row.created)] : []),
  ]);
  await poolChanged(tools, pool.name);
  announce(tools, [queueEvent(tools, "created", row, pool, row.created)]);
  const own = moved.find(({ id }) => id === row.id);
  return { ...row, ...own, ...namesOf(pool) };
}

/** Prefect: `POST /work_queues/` puts the queue into the pool of agents, which is made when it is not there. */
export async function addAgentQueue(tools: Tools, body: WorkQueueCreate): Promise<QueueWithPool> {
  const { pool, queues, made } = await ensureAgentPool(tools);
  if (!made || body.name !== made.name) return addQueue(tools, pool, queues, body);
  await poolChanged(tools, AGENT_POOL);
  return { ...made, ...namesOf(pool) };
}

interface AgentPool {
  pool: Pick<WorkPoolRow, "id" | "name" | "type">;
  queues: readonly WorkQueueRow[];
  made?: WorkQueueRow;
}

/** The pool of agents with its queues; `made` is its default queue where the pool was not there. Of several at once, one makes it. */
async function ensureAgentPool(tools: Tools): Promise<AgentPool> {
  const store = storeOf(tools);
  const found = await store.readPoolWithQueues(AGENT_POOL);
  if (found.pool) return { pool: found.pool, queues: found.queues };
  const { pool, queue } = newPool(tools, WorkPoolCreate.parse({ name: AGENT_POOL }));
  try {
    await tools.db.batch([store.insertPool(pool), store.insertQueue(queue)]);
  } catch (error) {
    if (!isTaken(error)) throw error;
    const others = await store.readPoolWithQueues(AGENT_POOL);
    if (!others.pool) throw error;
    return { pool: others.pool, queues: others.queues };
  }
  announce(tools, birthEvents(tools, pool, queue));
  return { pool, queues: [queue], made: queue };
}

const namesOf = (pool: Pick<WorkPoolRow, "name" | "type">) => ({
  work_pool_name: pool.name,
  work_pool_type: pool.type,
});

/**
 * The pool's queue of this name, made when it is not there, as deploying to a new queue does. Two that do so at once get
 * the same queue.
 */
export async function ensureQueue(
  tools: Tools,
  pool: Pick<WorkPoolRow, "id" | "name" | "type">,
  name: string,
): Promise<WorkQueueRow> {
  const { queues } = await storeOf(tools).readPoolWithQueues(pool.name);
  const found = queues.find((queue) => queue.name === name);
  if (found) return found;
  return madeOnce(tools, pool.id, name, () =>
    addQueue(tools, pool, queues, { name, description: "", is_paused: false }),
  );
}

/** Prefect: `ensure_work_queue_exists`, for deployments and runs that name a queue and no pool. */
export async function ensureAgentQueue(tools: Tools, name: string): Promise<WorkQueueRow> {
  const body = { name, description: "", is_paused: false, priority: 1 };
  const { pool, queues, made } = await ensureAgentPool(tools);
  if (made) await poolChanged(tools, AGENT_POOL);
  const found = queues.find((queue) => queue.name === name);
  return found ?? madeOnce(tools, pool.id, name, () => addQueue(tools, pool, queues, body));
}

async function madeOnce(
  tools: Tools,
  poolId: string,
  name: string,
  make: () => Promise<WorkQueueRow>,
): Promise<WorkQueueRow> {
  try {
    return await make();
  } catch (error) {
    const made = isTaken(error) ? await storeOf(tools).readQueueByName(poolId, name) : undefined;
    if (made) return made;
    throw error;
  }
}

/** Changes a queue: what is in the body, and nothing else. `queues` are its pool's where its priority may move others. */
export async function changeQueue(
  tools: Tools,
  queue: QueueWithPool,
  queues: readonly QueueWithPool[],
  body: WorkQueueUpdate,
): Promise<void> {
  if (body.name === null || body.priority === null) throw integrityConflict();
  const store = storeOf(tools);
  const now = tools.clock();
  const status = await nextStatus(tools, queue, body);
  const moved =
    typeof body.priority === "number" ? reorderQueues(queues, { id: queue.id, priority: body.priority }) : [];
  await tools.db.batch([
    store.updateQueue(queue.id, { updated: now, ...workQueues.changes(body), ...(status && { status }) }),
    ...(moved.length > 0 ? [store.setPriorities(moved, now)] : []),
  ]);
  await poolChanged(tools, queue.work_pool_name);
  const pool = { id: queue.work_pool_id, name: queue.work_pool_name, type: queue.work_pool_type };
  const after = { ...queue, name: body.name ?? queue.name };
  const updates = updatesOf(EVENT_FIELDS, queue, body);
  announce(tools, [
    ...(Object.keys(updates).length > 0 ? [queueEvent(tools, "updated", after, pool, now, updates)] : []),
    ...(status === null ? [] : [queueStatusEvent(tools, after, pool, status, now)]),
  ]);
}

/** Prefect: `WORK_QUEUE_EVENT_FIELDS`. */
const EVENT_FIELDS = ["name", "description", "concurrency_limit", "priority"];

/** Prefect: pausing says so; resuming makes the queue READY when it was polled lately. */
async function nextStatus(tools: Tools, queue: QueueWithPool, body: WorkQueueUpdate): Promise<string | null> {
  if (body.is_paused === true && queue.status !== "PAUSED") return "PAUSED";
  if (body.is_paused !== false || queue.status !== "PAUSED") return null;
  const liveness = await readLiveness(tools, [{ id: queue.work_pool_id, name: queue.work_pool_name }]);
  return liveness.get(queue.work_pool_id)?.queues[queue.id]?.status ?? "NOT_READY";
}

/** Removes a queue. Prefect: those of its pool that have the same priority are then told apart. */
export async function removeQueue(
  tools: Tools,
  queue: QueueWithPool,
  pool: WorkPoolRow,
  queues: readonly QueueWithPool[],
): Promise<void> {
  if (pool.default_queue_id === queue.id) {
    throw conflict(`'${queue.name}' is the default queue of its work pool and cannot be deleted.`);
  }
  const store = storeOf(tools);
  const rest = queues.filter(({ id }) => id !== queue.id);
  const moved = reorderQueues(rest, null);
  await tools.db.batch([
    ...store.removeQueue(queue.id),
    ...(moved.length > 0 ? [store.setPriorities(moved, tools.clock())] : []),
  ]);
  await poolChanged(tools, pool.name);
  await store.releaseAll([queue.id]);
}

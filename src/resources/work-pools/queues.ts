/** Creates, changes and removes the queues of a work pool, for all routes. */
import { type PoolFacts, workQueueStatusEvent } from "#events/lifecycle";
import { conflict, integrityConflict } from "#lib/api-error";
import { poolChanged, readLiveness } from "#objects/work-pool/client";
import { announce, queueEvent, updatesOf } from "#resources/work-pools/announce";
import { creationEvents, insertPool, isTaken, newQueue } from "#resources/work-pools/pools";
import {
  AGENT_POOL,
  type QueueWithPool,
  type WorkPoolRow,
  WorkPoolStore,
  type WorkQueueRow,
  workQueues,
} from "#resources/work-pools/store";
import type { Tools } from "#tools";
import { WorkPoolCreate, type WorkQueueCreate, type WorkQueueUpdate } from "#resources/work-pools/schema";

/** Writes a new queue into a pool. `present` are the pool's queues. Queues with the same or a later priority move. */
export async function addQueue(
  tools: Tools,
  pool: PoolFacts,
  present: readonly Ranked[],
  body: WorkQueueCreate,
): Promise<QueueWithPool> {
  const store = new WorkPoolStore(tools);
  const priority = body.priority ?? freePriority(present.map((queue) => queue.priority));
  const row = newQueue(tools, pool.id, { ...body, priority });
  const moved = body.priority ? reorderQueues([...present, row], row) : [];
  await tools.db.batch([store.insertQueue(row), ...store.setPriorities(moved, row.created)]);
  await poolChanged(tools, pool.name);
  announce(tools, [queueEvent(tools, "created", row, pool, row.created)]);
  const own = moved.find(({ id }) => id === row.id);
  return { ...row, ...own, ...namesOf(pool) };
}

const namesOf = ({ name, type }: PoolFacts) => ({ work_pool_name: name, work_pool_type: type });

/** Prefect: `POST /work_queues/` makes the queue in the pool of agents, and makes that pool if there is none. */
export async function addAgentQueue(tools: Tools, body: WorkQueueCreate): Promise<QueueWithPool> {
  const { pool, queues, made } = await ensureAgentPool(tools);
  if (!made || body.name !== made.name) return addQueue(tools, pool, queues, body);
  await poolChanged(tools, AGENT_POOL);
  return { ...made, ...namesOf(pool) };
}

/**
 * The pool of agents with its queues. Of several concurrent requests, one creates the pool. For that request `made` is
 * the pool's default queue.
 */
async function ensureAgentPool(tools: Tools) {
  const store = new WorkPoolStore(tools);
  const { pool: found, queues } = await store.readPoolWithQueues(AGENT_POOL);
  if (found) return { pool: found, queues };
  try {
    const { pool, queue } = await insertPool(tools, WorkPoolCreate.parse({ name: AGENT_POOL }));
    announce(tools, creationEvents(tools, pool, queue));
    return { pool, queues: [queue], made: queue };
  } catch (error) {
    const others = isTaken(error) ? await store.readPoolWithQueues(AGENT_POOL) : undefined;
    if (!others?.pool) throw error;
    return { pool: others.pool, queues: others.queues };
  }
}

/** The pool's queue of this name, or a new queue: a deployment may name a queue that does not exist. */
export async function ensureQueue(tools: Tools, pool: PoolFacts, name: string): Promise<WorkQueueRow> {
  const { queues } = await new WorkPoolStore(tools).readPoolWithQueues(pool.name);
  return ensureAmong(tools, pool, queues, { name });
}

/** Prefect: `ensure_work_queue_exists`, for deployments and runs that name a queue and no pool. */
export async function ensureAgentQueue(tools: Tools, name: string): Promise<WorkQueueRow> {
  const { pool, queues, made } = await ensureAgentPool(tools);
  if (made) await poolChanged(tools, AGENT_POOL);
  return ensureAmong(tools, pool, queues, { name, priority: 1 });
}

/** The queue of this name among the pool's queues, or a new queue. Two concurrent requests get the same new queue. */
async function ensureAmong(
  tools: Tools,
  pool: PoolFacts,
  queues: readonly WorkQueueRow[],
  wanted: Pick<WorkQueueCreate, "name" | "priority">,
): Promise<WorkQueueRow> {
  const named = (some: readonly WorkQueueRow[]) => some.find(({ name }) => name === wanted.name);
  const found = named(queues);
  if (found) return found;
  try {
    return await addQueue(tools, pool, queues, { ...wanted, description: "", is_paused: false });
  } catch (error) {
    const made = isTaken(error) && named((await new WorkPoolStore(tools).readPoolWithQueues(pool.name)).queues);
    if (made) return made;
    throw error;
  }
}

/** Changes the fields of a queue that the body has. `queues` are the pool's queues, if a new priority may move them. */
export async function changeQueue(
  tools: Tools,
  queue: QueueWithPool,
  queues: readonly QueueWithPool[],
  body: WorkQueueUpdate,
): Promise<void> {
  if (body.name === null || body.priority === null) throw integrityConflict();
  const store = new WorkPoolStore(tools);
  const now = tools.clock();
  const status = await nextStatus(tools, queue, body);
  const moved = body.priority === undefined ? [] : reorderQueues(queues, { id: queue.id, priority: body.priority });
  await tools.db.batch([
    store.updateQueue(queue.id, { updated: now, ...workQueues.changes(body), ...(status && { status }) }),
    ...store.setPriorities(moved, now),
  ]);
  await poolChanged(tools, queue.work_pool_name);
  const pool = { id: queue.work_pool_id, name: queue.work_pool_name, type: queue.work_pool_type };
  const after = { ...queue, name: body.name ?? queue.name };
  const updates = updatesOf(EVENT_FIELDS, queue, body);
  const stamp = () => ({ id: tools.ids.ordered(now), occurred: now });
  announce(tools, [
    ...(updates ? [queueEvent(tools, "updated", after, pool, now, updates)] : []),
    ...(status === null ? [] : [workQueueStatusEvent({ ...after, status }, pool, stamp())]),
  ]);
}

/** Prefect: `WORK_QUEUE_EVENT_FIELDS`. */
const EVENT_FIELDS = ["name", "description", "concurrency_limit", "priority"];

/** Prefect: a pause makes the queue PAUSED; a resumption makes the queue READY if it was polled lately. */
async function nextStatus(tools: Tools, queue: QueueWithPool, body: WorkQueueUpdate): Promise<string | null> {
  if (body.is_paused === true && queue.status !== "PAUSED") return "PAUSED";
  if (body.is_paused !== false || queue.status !== "PAUSED") return null;
  const liveness = await readLiveness(tools, [{ id: queue.work_pool_id, name: queue.work_pool_name }]);
  return liveness.get(queue.work_pool_id)?.queues[queue.id]?.status ?? "NOT_READY";
}

/** Removes a queue. Prefect: the other queues of the pool then get distinct priorities. */
export async function removeQueue(
  tools: Tools,
  queue: QueueWithPool,
  pool: WorkPoolRow,
  queues: readonly QueueWithPool[],
): Promise<void> {
  if (pool.default_queue_id === queue.id) {
    throw conflict(`'${queue.name}' is the default queue of its work pool and cannot be deleted.`);
  }
  const store = new WorkPoolStore(tools);
  const rest = queues.filter(({ id }) => id !== queue.id);
  await tools.db.batch([
    ...store.removeQueue(queue.id),
    ...store.setPriorities(reorderQueues(rest, null), tools.clock()),
  ]);
  await poolChanged(tools, pool.name);
  await store.releaseAll([queue.id]);
}

/** A queue and its priority. */
type Ranked = Pick<WorkQueueRow, "id" | "priority">;

/** Prefect: a queue without a given priority gets the first free priority. */
export function freePriority(taken: readonly number[]): number {
  const sorted = taken.toSorted((a, b) => a - b);
  const gap = sorted.findIndex((priority, index) => priority !== index + 1);
  return gap === -1 ? (sorted.at(-1) ?? 0) + 1 : gap + 1;
}

/**
 * Prefect: `bulk_update_work_queue_priorities`. The queue of the wish comes before the queues with the same or a later priority. Their
 * priorities grow as little as possible, until all priorities are distinct. Gives the queues with a new priority.
 */
export function reorderQueues(queues: readonly Ranked[], wish: Ranked | null): Ranked[] {
  const others = queues.filter(({ id }) => id !== wish?.id).toSorted((a, b) => a.priority - b.priority);
  const before = wish ? others.filter(({ priority }) => priority < wish.priority) : others;
  const ordered = [...before, ...(wish ? [wish] : []), ...others.slice(before.length)];
  const present = new Map(queues.map(({ id, priority }) => [id, priority]));
  let last = 0;
  return ordered.flatMap(({ id, priority }) => {
    last = priority <= last ? last + 1 : priority;
    return present.get(id) === last ? [] : [{ id, priority: last }];
  });
}

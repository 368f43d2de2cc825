/** Makes a work pool with its default queue. */
import { newColumns } from "#db/rows/new-columns";
import type { Event } from "#events/event";
import { conflict, refused } from "#lib/api-error";
import { poolChanged } from "#objects/work-pool/client";
import { announce, poolEvent, poolStatusEvent, queueEvent } from "#resources/work-pools/announce";
import { validateTemplateDefaults } from "#resources/work-pools/job-variables";
import type { WorkQueueCreate } from "#resources/work-pools/queue-schema";
import type { WorkPoolCreate } from "#resources/work-pools/schema";
import {
  poolStatus,
  printWorkPool,
  type WorkPoolRow,
  workPools,
  WorkPoolStore,
  type WorkQueueRow,
  workQueues,
} from "#resources/work-pools/store";
import { narrowed } from "#resources/work-pools/show";
import type { Tools } from "#tools";

/** Whether Prefect reserves the name of a pool. */
export function isReserved(name: string): boolean {
  return name.toLowerCase().startsWith("prefect");
}

/** Whether a write failed because a name is taken. */
export function isTaken(error: unknown): boolean {
  return error instanceof Error && error.message.includes("UNIQUE constraint failed");
}

/** The rows of a new pool and its default queue. Agents' pools have no status. */
export function newPool(tools: Tools, body: WorkPoolCreate): { pool: WorkPoolRow; queue: WorkQueueRow } {
  const columns = newColumns(tools);
  const queue = newQueue(tools, columns.id, {
    name: "default",
    description: "The work pool's default queue.",
    priority: 1,
  });
  const pool = workPools.blank({
    ...body,
    ...columns,
    default_queue_id: queue.id,
    status: body.type === "prefect-agent" ? null : "NOT_READY",
  });
  return { pool, queue };
}

/** The row of a new queue. */
export function newQueue(
  tools: Tools,
  poolId: string,
  body: Pick<WorkQueueCreate, "name" | "description"> & { priority: number },
): WorkQueueRow {
  return workQueues.blank({ ...body, ...newColumns(tools), work_pool_id: poolId });
}

/** The events of a new pool and its default queue. */
export function creationEvents(tools: Tools, pool: WorkPoolRow, queue: WorkQueueRow): Event[] {
  const at = pool.created;
  const status = poolStatus(pool, pool.status);
  return [
    queueEvent(tools, "created", queue, pool, at),
    poolEvent(tools, "created", pool, at),
    ...(status === null ? [] : [poolStatusEvent(pool, status, { id: tools.ids.ordered(at), occurred: at })]),
  ];
}

/** `POST /work_pools/` */
export async function createWorkPool(tools: Tools, body: WorkPoolCreate) {
  if (isReserved(body.name)) throw refused(403, "Work pools starting with 'Prefect' are reserved for internal use.");
  validateTemplateDefaults(body.base_job_template ?? {});
  const store = new WorkPoolStore(tools);
  const { pool, queue } = newPool(tools, body);
  try {
    await tools.db.batch([store.insertPool(pool), store.insertQueue(queue)]);
  } catch (error) {
    if (isTaken(error)) throw conflict("A work pool with this name already exists.");
    throw error;
  }
  await poolChanged(tools, pool.name);
  announce(tools, creationEvents(tools, pool, queue));
  const active_slots = pool.concurrency_limit === null ? null : 0;
  return narrowed(tools, printWorkPool({ ...pool, active_slots }));
}

/** Finds, creates, changes and removes work pools. */
import { sql } from "drizzle-orm";
import { readJson } from "#db/database";
import { newColumns } from "#db/workspace-store";
import { work_pool, work_queue } from "#db/tables/work-pool";
import type { Event } from "#events/event";
import { conflict, integrityConflict, refused } from "#lib/api-error";
import { poolChanged, readLiveness, workPool } from "#objects/work-pool/client";
import { announce, poolEvent, poolStatusEvent, queueEvent, updatesOf } from "#resources/work-pools/announce";
import { withBlockDefaults } from "#resources/work-pools/block-defaults";
import { validateTemplateDefaults } from "#resources/work-pools/job-variables";
import type { WorkPoolCreate, WorkPoolUpdate, WorkQueueCreate } from "#resources/work-pools/schema";
import { narrowed, poolStatus, printWorkPool } from "#resources/work-pools/show";
import { type WorkPoolRow, workPools, WorkPoolStore, type WorkQueueRow, workQueues } from "#resources/work-pools/store";
import type { Tools } from "#tools";

/** The 404 for an unknown pool, in Prefect's words. */
export const missingPool = (name: string) => refused(404, `Work pool "${name}" not found.`);

/** The 404 for an unknown queue of a pool. */
export const missingQueue = (poolName: string, name: string | null) =>
  refused(404, `Work pool queue '${poolName}/${name}' not found.`);

/** The pool of this name. Throws 404 if the pool does not exist. */
export async function findPool(tools: Tools, name: string): Promise<WorkPoolRow> {
  const pool = await new WorkPoolStore(tools).readPoolByName(name);
  if (!pool) throw missingPool(name);
  return pool;
}

/** The pool of this name and its queues by priority. Throws 404 if the pool does not exist. */
export async function findPoolWithQueues(tools: Tools, name: string) {
  const { pool, queues } = await new WorkPoolStore(tools).readPoolWithQueues(name);
  if (!pool) throw missingPool(name);
  return { pool, queues };
}

/** The queue of this name in the pool, or the pool's default queue. Throws 404 if one of them does not exist. */
export async function findQueue(tools: Tools, poolName: string, name: string | null) {
  const named = name === null ? sql`q.id = p.default_queue_id` : sql`q.name = ${name}`;
  const [row] = await tools.db.rows<{ id: string | null; name: string }>(
    sql`select q.id as id, q.name as name from ${work_pool} p
      left join ${work_queue} q on q.workspace_id = p.workspace_id and q.work_pool_id = p.id and ${named}
      where p.workspace_id = ${tools.workspaceId} and p.name = ${poolName}`,
  );
  if (!row) throw missingPool(poolName);
  if (row.id === null) throw missingQueue(poolName, name);
  return { id: row.id, name: row.name };
}

/** Whether Prefect reserves the name of a pool. */
export function isReserved(name: string): boolean {
  return name.toLowerCase().startsWith("prefect");
}

/** Whether a write failed because a name is taken. */
export function isTaken(error: unknown): boolean {
  return error instanceof Error && error.message.includes("UNIQUE constraint failed");
}

/** Gives the result of `made`. Throws 409 with the text `taken` if the name of the new row is taken. */
export function orTaken<T>(made: Promise<T>, taken: string): Promise<T> {
  return made.catch((error: unknown) => {
    throw isTaken(error) ? conflict(taken) : error;
  });
}

/** Writes a new pool and its default queue. Agents' pools have no status. Throws for a taken name, see `isTaken`. */
export async function insertPool(
  tools: Tools,
  body: WorkPoolCreate,
): Promise<{ pool: WorkPoolRow; queue: WorkQueueRow }> {
  const store = new WorkPoolStore(tools);
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
  await tools.db.batch([store.insertPool(pool), store.insertQueue(queue)]);
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
  validateTemplateDefaults(await withBlockDefaults(tools, body.base_job_template ?? {}));
  const { pool, queue } = await orTaken(insertPool(tools, body), "A work pool with this name already exists.");
  await poolChanged(tools, pool.name);
  announce(tools, creationEvents(tools, pool, queue));
  const active_slots = pool.concurrency_limit === null ? null : 0;
  return narrowed(tools, printWorkPool({ ...pool, active_slots }));
}

const FREELY_CHANGED = new Set(["is_paused", "concurrency_limit"]);
const NEVER_NULL = ["is_paused", "base_job_template", "storage_configuration"] as const;

/** `PATCH /work_pools/{name}`: changes only the fields in the body. */
export async function updateWorkPool(tools: Tools, name: string, body: WorkPoolUpdate): Promise<void> {
  if (isReserved(name) && Object.keys(body).some((field) => !FREELY_CHANGED.has(field))) {
    throw refused(
      403,
      "Work pools starting with 'Prefect' are reserved for internal use and can only be updated to set concurrency limits or pause.",
    );
  }
  const store = new WorkPoolStore(tools);
  // The event of a pause follows the event of the status before. The object may not have written that event yet, so the object reports now.
  if (typeof body.is_paused === "boolean") await workPool(tools, name).reportNow();
  const pool = await findPool(tools, name);
  if (NEVER_NULL.some((field) => body[field] === null)) throw integrityConflict();
  const now = tools.clock();
  const status = await nextStatus(tools, pool, body);
  const stamp = { id: tools.ids.ordered(now), occurred: now };
  const mark = status === null ? {} : { last_status_event_id: stamp.id, last_transitioned_status_at: now };
  await tools.db.run(store.updatePool(pool.id, { updated: now, ...workPools.changes(body), ...mark }));
  await poolChanged(tools, name);
  const before = { ...workPools.print(pool), storage_configuration: readJson<unknown>(pool.storage_configuration) };
  const updates = updatesOf(EVENT_FIELDS, before, body);
  announce(tools, [
    ...(updates ? [poolEvent(tools, "updated", pool, now, updates)] : []),
    ...(status === null ? [] : [poolStatusEvent(pool, status, stamp)]),
  ]);
}

/** Prefect: `WORK_POOL_EVENT_FIELDS`. */
const EVENT_FIELDS = ["description", "base_job_template", "concurrency_limit", "storage_configuration"];

/** Prefect: a pause and a resumption emit an event of the status, even if the status was the same before. */
async function nextStatus(tools: Tools, pool: WorkPoolRow, body: WorkPoolUpdate): Promise<string | null> {
  if (pool.type === "prefect-agent" || typeof body.is_paused !== "boolean") return null;
  if (body.is_paused) return "PAUSED";
  return (await readLiveness(tools, [pool])).get(pool.id)?.status ?? "NOT_READY";
}

/** `DELETE /work_pools/{name}` */
export async function deleteWorkPool(tools: Tools, name: string): Promise<void> {
  if (isReserved(name)) {
    throw refused(403, "Work pools starting with 'Prefect' are reserved for internal use and can not be deleted.");
  }
  const store = new WorkPoolStore(tools);
  const { pool, queues } = await findPoolWithQueues(tools, name);
  await tools.db.batch(store.removePool(pool.id));
  await poolChanged(tools, name);
  await store.releaseAll(queues.map(({ id }) => id));
  const now = tools.clock();
  announce(tools, [
    ...queues.map((queue) => queueEvent(tools, "deleted", queue, pool, now)),
    poolEvent(tools, "deleted", pool, now),
  ]);
}

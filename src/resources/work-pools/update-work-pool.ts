/** Changes and removes work pools. */
import { readJson } from "#db/database";
import { integrityConflict, refused } from "#lib/api-error";
import { poolChanged, readLiveness, workPool } from "#objects/work-pool/client";
import { announce, poolEvent, poolStatusEvent, queueEvent, updatesOf } from "#resources/work-pools/announce";
import { isReserved } from "#resources/work-pools/create-work-pool";
import { findPool, findPoolWithQueues } from "#resources/work-pools/find";
import type { WorkPoolUpdate } from "#resources/work-pools/schema";
import { type WorkPoolRow, workPools, WorkPoolStore } from "#resources/work-pools/store";
import type { Tools } from "#tools";

const FREELY_CHANGED = new Set(["is_paused", "concurrency_limit"]);
const NEVER_NULL = ["is_paused", "base_job_template", "storage_configuration"] as const;

/** `PATCH /work_pools/{name}`: what is in the body, and nothing else. */
export async function updateWorkPool(tools: Tools, name: string, body: WorkPoolUpdate): Promise<void> {
  if (isReserved(name) && Object.keys(body).some((field) => !FREELY_CHANGED.has(field))) {
    throw refused(
      403,
      "Work pools starting with 'Prefect' are reserved for internal use and can only be updated to set concurrency limits or pause.",
    );
  }
  const store = new WorkPoolStore(tools);
  // The event of a pause follows the event of the status before, which the object may not have written yet.
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

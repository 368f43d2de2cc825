/** Changes and removes work pools. */
import { integrityConflict, refused } from "#lib/api-error";
import { poolChanged } from "#objects/work-pool/client";
import { isReserved } from "#resources/work-pools/create-work-pool";
import type { WorkPoolUpdate } from "#resources/work-pools/schema";
import { type WorkPoolRow, WorkPoolStore } from "#resources/work-pools/store";
import type { Tools } from "#tools";

/** 404 for a pool by its name, in the original's words. */
export const missingPool = (name: string) => refused(404, `Work pool "${name}" not found.`);

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
  const store = new WorkPoolStore(tools.db, tools.workspaceId);
  const pool = await store.readPoolByName(name);
  if (!pool) throw missingPool(name);
  if (NEVER_NULL.some((field) => body[field] === null)) throw integrityConflict();
  await tools.db.run(store.updatePool(pool.id, { updated: tools.clock(), ...changesOf(body) }));
  await poolChanged(tools, name);
}

function changesOf(body: WorkPoolUpdate): Partial<WorkPoolRow> {
  return {
    ...("description" in body && { description: body.description ?? null }),
    ...("concurrency_limit" in body && { concurrency_limit: body.concurrency_limit ?? null }),
    ...(typeof body.is_paused === "boolean" && { is_paused: body.is_paused ? 1 : 0 }),
    ...(body.base_job_template && { base_job_template: JSON.stringify(body.base_job_template) }),
    ...(body.storage_configuration && { storage_configuration: JSON.stringify(body.storage_configuration) }),
  };
}

/** `DELETE /work_pools/{name}` */
export async function deleteWorkPool(tools: Tools, name: string): Promise<void> {
  if (isReserved(name)) {
    throw refused(403, "Work pools starting with 'Prefect' are reserved for internal use and can not be deleted.");
  }
  const store = new WorkPoolStore(tools.db, tools.workspaceId);
  const pool = await store.readPoolByName(name);
  if (!pool) throw missingPool(name);
  await tools.db.batch(store.removePool(pool.id));
  await poolChanged(tools, name);
}

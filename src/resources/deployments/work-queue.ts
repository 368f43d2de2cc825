/** The queue that runs of a deployment go to, by the names of pool and queue. */
import { readJson } from "#db/database";
import { refused } from "#lib/api-error";
import { AGENT_POOL, type WorkPoolRow, WorkPoolStore } from "#resources/work-pools/store";
import { ensureAgentQueue, ensureQueue } from "#resources/work-pools/queues";
import type { Tools } from "#tools";

/** The names in a body; what is absent says nothing, and of a queue null says nothing either. */
export interface PlaceNames {
  work_pool_name?: string | null | undefined;
  work_queue_name?: string | null | undefined;
}

/** The pool that a body names, or null where it names none. Throws 404 where there is no such pool. */
export async function findPool(tools: Tools, name: string | null | undefined): Promise<WorkPoolRow | null> {
  if (!name) return null;
  const pool = await new WorkPoolStore(tools).readPoolByName(name);
  if (pool) return pool;
  if (name !== AGENT_POOL) throw refused(404, `Work pool "${name}" not found.`);
  await ensureAgentQueue(tools, "default");
  return findPool(tools, name);
}

/** The id of the queue that the names come to, made when it is not there; undefined where the names say nothing. */
export async function placeRuns(
  tools: Tools,
  pool: WorkPoolRow | null,
  names: PlaceNames,
): Promise<string | undefined> {
  if (!pool) return names.work_queue_name ? (await ensureAgentQueue(tools, names.work_queue_name)).id : undefined;
  if (names.work_queue_name) return (await ensureQueue(tools, pool, names.work_queue_name)).id;
  return pool.default_queue_id ?? undefined;
}

/** The columns of a deployment that has no pool any more. */
export const NO_PLACE = { work_queue_id: null, work_queue_name: null } as const;

/** The template that job variables of a pool's runs are held against. */
export function templateOf(pool: Pick<WorkPoolRow, "base_job_template">): Record<string, unknown> {
  return readJson<Record<string, unknown>>(pool.base_job_template);
}

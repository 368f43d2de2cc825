/** Pools and queues by their names, as paths and bodies name them. */
import { sql } from "drizzle-orm";
import { work_pool, work_queue } from "#db/tables/work-pool";
import { refused } from "#lib/api-error";
import { type QueueWithPool, type WorkPoolRow, WorkPoolStore } from "#resources/work-pools/store";
import type { Tools } from "#tools";

/** 404 for a pool by its name, in the original's words. */
export const missingPool = (name: string) => refused(404, `Work pool "${name}" not found.`);

/** 404 for a queue of a pool, by both names. */
export const missingQueue = (poolName: string, name: string | null) =>
  refused(404, `Work pool queue '${poolName}/${name}' not found.`);

/** The pool of this name. Throws 404 where there is no such pool. */
export async function findPool(tools: Tools, name: string): Promise<WorkPoolRow> {
  const pool = await new WorkPoolStore(tools).readPoolByName(name);
  if (!pool) throw missingPool(name);
  return pool;
}

/** The pool of this name and its queues by priority. Throws 404 where there is no such pool. */
export async function findPoolWithQueues(
  tools: Tools,
  name: string,
): Promise<{ pool: WorkPoolRow; queues: QueueWithPool[] }> {
  const { pool, queues } = await new WorkPoolStore(tools).readPoolWithQueues(name);
  if (!pool) throw missingPool(name);
  return { pool, queues };
}

/** The queue of this name in the pool, or the pool's default queue. Throws 404 where there is no such pool or queue. */
export async function findQueue(
  tools: Tools,
  poolName: string,
  name: string | null,
): Promise<{ id: string; name: string }> {
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

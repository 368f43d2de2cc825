/** A pool and a queue by name, as flow runs and deployments name them. */
import { sql } from "drizzle-orm";
import { work_pool, work_queue } from "#db/tables/work-pool";
import { refused } from "#lib/api-error";
import type { Tools } from "#tools";

/** The queue of that name in the pool, or the pool's default queue. Throws 404 where there is no such pool or queue. */
export async function findWorkQueue(
  tools: Tools,
  poolName: string,
  queueName: string | null,
): Promise<{ id: string; name: string }> {
  const named = queueName === null ? sql`q.id = p.default_queue_id` : sql`q.name = ${queueName}`;
  const [row] = await tools.db.rows<{ pool_id: string; id: string | null; name: string }>(
    sql`select p.id as pool_id, q.id as id, q.name as name from ${work_pool} p
      left join ${work_queue} q on q.workspace_id = p.workspace_id and q.work_pool_id = p.id and ${named}
      where p.workspace_id = ${tools.workspaceId} and p.name = ${poolName}`,
  );
  if (!row) throw refused(404, `Work pool "${poolName}" not found.`);
  if (row.id === null) throw refused(404, `Work pool queue '${poolName}/${queueName}' not found.`);
  return { id: row.id, name: row.name };
}

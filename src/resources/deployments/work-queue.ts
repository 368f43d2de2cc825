/** The work pool and queue of a deployment, by their names. */
import { sql } from "drizzle-orm";
import { readJson, readOptionalJson } from "#db/database";
import { work_queue } from "#db/tables/work-pool";
import { refused } from "#lib/api-error";
import { isObject } from "#lib/json-value";
import { readDeployment } from "#resources/deployments/read-deployment";
import {
  AGENT_POOL,
  type WorkPoolRow,
  WorkPoolStore,
  type WorkQueueRow,
  workQueues,
} from "#resources/work-pools/store";
import { ensureAgentQueue, ensureQueue } from "#resources/work-pools/queues";
import type { Tools } from "#tools";

/** The pool that a body names, or null if the body names no pool. Throws 404 if the pool does not exist. */
export async function findPool(tools: Tools, name: string | null | undefined): Promise<WorkPoolRow | null> {
  if (!name) return null;
  const pool = await new WorkPoolStore(tools).readPoolByName(name);
  if (pool) return pool;
  if (name !== AGENT_POOL) throw refused(404, `Work pool "${name}" not found.`);
  await ensureAgentQueue(tools, "default");
  return findPool(tools, name);
}

/** Gives the id of the queue of this name in the pool, and creates a missing queue. Without a name, gives the pool's default queue. */
export async function placeRuns(
  tools: Tools,
  pool: WorkPoolRow | null,
  queueName: string | null | undefined,
): Promise<string | undefined> {
  if (!queueName) return pool?.default_queue_id ?? undefined;
  return (await (pool ? ensureQueue(tools, pool, queueName) : ensureAgentQueue(tools, queueName))).id;
}

/** The columns of a deployment that has no pool any more. */
export const NO_PLACE = { work_queue_id: null, work_queue_name: null } as const;

/** The template of a pool. The job variables of the pool's runs are checked against the template. */
export function templateOf(pool: Pick<WorkPoolRow, "base_job_template">): Record<string, unknown> {
  return readJson<Record<string, unknown>>(pool.base_job_template);
}

/** Gives the queues with an old filter that matches a deployment, by tags and by ids of deployments. Throws 404. */
export async function checkWorkQueues(tools: Tools, id: string) {
  const row = await readDeployment(tools, { id });
  const tags = new Set([readJson<string[]>(row.tags)].flat());
  const queues = await tools.db.rows<WorkQueueRow>(
    sql`select * from ${work_queue} where ${work_queue.workspace_id} = ${tools.workspaceId} and ${work_queue.filter} is not null`,
  );
  return queues.filter(({ filter }) => picksUp(readOptionalJson<unknown>(filter), tags, id)).map(workQueues.print);
}

function picksUp(filter: unknown, tags: ReadonlySet<string>, deploymentId: string): boolean {
  if (!isObject(filter)) return false;
  const wanted = filter["tags"] ?? [];
  const named = filter["deployment_ids"] ?? [];
  if (!Array.isArray(wanted) || !Array.isArray(named)) return false;
  return wanted.every((tag) => tags.has(String(tag))) && (named.length === 0 || named.includes(deploymentId));
}

/** `GET /deployments/{id}/work_queue_check`: the queues that would pick up the deployment's runs by their old filters. */
import { sql } from "drizzle-orm";
import { readJson, readOptionalJson } from "#db/database";
import { work_queue } from "#db/tables/work-pool";
import { notFound } from "#lib/api-error";
import { isObject } from "#lib/json-value";
import { DeploymentStore } from "#resources/deployments/store";
import { type WorkQueueRow, workQueues } from "#resources/work-pools/store";
import type { Tools } from "#tools";

/** The queues whose tags the deployment all has, and whose deployments, if they name any, it is among. */
export async function checkWorkQueues(tools: Tools, id: string) {
  const row = await new DeploymentStore(tools.db, tools.workspaceId).read({ id });
  if (!row) throw notFound("Deployment");
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

/** Reads a deployment that must exist, and shows deployments. */
import { deployments } from "#db/rows/deployments";
import { refused } from "#lib/api-error";
import { readInUse } from "#objects/concurrency-limits/client";
import { printLimit } from "#resources/concurrency-limits-v2/store";
import {
  type DeploymentKey,
  type DeploymentRow,
  DeploymentStore,
  limitOf,
  printSchedule,
  schedulesOf,
} from "#resources/deployments/store";
import type { Tools } from "#tools";

/** Prefect: the 404 of some routes ends with a full stop. */
type Missing = "Deployment not found" | "Deployment not found.";

/** Gives a deployment. Throws 404 with the text `missing` for an unknown deployment. */
export async function readDeployment(
  tools: Tools,
  key: DeploymentKey,
  missing: Missing = "Deployment not found",
): Promise<DeploymentRow> {
  const row = await new DeploymentStore(tools).read(key);
  if (!row) throw refused(404, missing);
  return row;
}

/** Deployments as answers show them, with the slots in use of their limits. Limits take one call of the object. */
export async function showDeployments(tools: Tools, rows: readonly DeploymentRow[]) {
  const limits = rows.map(limitOf);
  const ids = new Set(limits.flatMap((limit) => limit?.id ?? []));
  const inUse = await readInUse(tools, [...ids]);
  return rows.map((row, index) => {
    const limit = limits[index] ?? null;
    return {
      ...deployments.print(row),
      version_id: row.version_id,
      schedules: schedulesOf(row).map(printSchedule),
      // Prefect: always null; `global_concurrency_limit` has the limit.
      concurrency_limit: null,
      global_concurrency_limit: limit && printLimit(limit, inUse[limit.id] ?? 0),
      work_queue_name: row.queue_name ?? row.work_queue_name,
      work_pool_name: row.pool_name,
    };
  });
}

/** A deployment as answers show it. */
export async function showDeployment(tools: Tools, row: DeploymentRow) {
  const [shown] = await showDeployments(tools, [row]);
  return shown;
}

/**
 * The isolate's cache of deployments that were read to create runs, with their pools. The next run of a cached deployment takes one
 * round trip. The run is written only if the deployment and its pool have not changed since the read.
 */
import { type SQL, sql } from "drizzle-orm";
import { deployment } from "#db/tables/deployment";
import { work_pool, work_queue } from "#db/tables/work-pool";
import { keyOf, Recent } from "#lib/recent";
import type { DeploymentRow } from "#resources/deployments/store";
import type { WorkPoolRow } from "#resources/work-pools/store";

/** The source of a run: the deployment, at its newest or an older version, and its pool, if it has a pool. */
export interface Origin {
  row: DeploymentRow;
  pool: WorkPoolRow | undefined;
  /** The deployment at its newest version. Only for a pinned run: `row` is the deployment at the pinned version. */
  newest?: DeploymentRow;
}

const recent = new Recent<Origin>({ items: 500, bytes: 8_000_000, bytesOfOne: 256_000, ageMs: 600_000 });

/** Puts a deployment into the cache. */
export function rememberOrigin({ row, pool }: Origin): void {
  // A run does not need the schedules.
  const slim = { ...row, schedule_rows: "[]" };
  recent.put(keyOf(row.workspace_id, row.id), { row: slim, pool }, [slim, pool ?? {}]);
}

/** Gives the deployment from the cache. */
export function recallOrigin(workspaceId: string, id: string): Origin | undefined {
  return recent.get(keyOf(workspaceId, id));
}

/** The condition that a deployment and its pool have not changed since the read: each change increases `updated`. */
export function isUnchanged({ row, pool }: Origin): SQL {
  return sql`exists (select 1 from ${deployment} od
    left join ${work_queue} oq on oq.workspace_id = od.workspace_id and oq.id = od.work_queue_id
    left join ${work_pool} op on op.workspace_id = oq.workspace_id and op.id = oq.work_pool_id
    where od.workspace_id = ${row.workspace_id} and od.id = ${row.id} and od.updated = ${row.updated}
      and od.work_queue_id is ${row.work_queue_id} and oq.name is ${row.queue_name}
      and op.id is ${pool?.id ?? null} and op.updated is ${pool?.updated ?? null})`;
}

/**
 * The deployments that this isolate last read to make runs of them, with their pools: the next run of such a deployment takes
 * one round trip. The run is written only if the deployment and its pool are still as they were read.
 */
import { type SQL, sql } from "drizzle-orm";
import { deployment } from "#db/tables/deployment";
import { work_pool, work_queue } from "#db/tables/work-pool";
import { Recent } from "#lib/recent";
import type { DeploymentRow } from "#resources/deployments/store";
import type { WorkPoolRow } from "#resources/work-pools/store";

/** What a run is made of: the deployment, as it is or at an older version, and its pool, where it has one. */
export interface Origin {
  row: DeploymentRow;
  pool: WorkPoolRow | undefined;
  /** The deployment as it is, where `row` is the deployment at the version that the run is pinned to. */
  newest?: DeploymentRow;
}

const recent = new Recent<Origin>({ items: 500, bytes: 8_000_000, bytesOfOne: 256_000, ageMs: 600_000 });
const keyOf = (workspaceId: string, id: string) => `${workspaceId}/${id}`;

/** Remembers a deployment as it was read. */
export function rememberOrigin({ row, pool }: Origin): void {
  // No run is made of the schedules.
  const slim = { ...row, schedule_rows: "[]" };
  recent.put(keyOf(row.workspace_id, row.id), { row: slim, pool }, [slim, pool ?? {}]);
}

/** The deployment as this isolate last read it. */
export function recallOrigin(workspaceId: string, id: string): Origin | undefined {
  return recent.get(keyOf(workspaceId, id));
}

/** The condition that a deployment and its pool are as they were read: their `updated` grows with each change. */
export function isUnchanged({ row, pool }: Origin): SQL {
  return sql`exists (select 1 from ${deployment} od
    left join ${work_queue} oq on oq.workspace_id = od.workspace_id and oq.id = od.work_queue_id
    left join ${work_pool} op on op.workspace_id = oq.workspace_id and op.id = oq.work_pool_id
    where od.workspace_id = ${row.workspace_id} and od.id = ${row.id} and od.updated = ${row.updated}
      and od.work_queue_id is ${row.work_queue_id} and oq.name is ${row.queue_name}
      and op.id is ${pool?.id ?? null} and op.updated is ${pool?.updated ?? null})`;
}

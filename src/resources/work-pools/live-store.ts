/** Reads D1 when a pool's object builds or checks itself, and writes the statuses of the object. */
import { type SQL, sql } from "drizzle-orm";
import { deployment } from "#db/tables/deployment";
import { flow } from "#db/tables/flow";
import { flow_run } from "#db/tables/flow-run";
import { work_pool, work_queue } from "#db/tables/work-pool";
import type { Micros } from "#lib/clock";
import { RETRY_TYPE } from "#db/short/policy";
import { each, list } from "#db/sql";
import { WorkspaceStore } from "#db/workspace-store";

/** A run that is due or has a slot. */
interface LiveRow {
  id: string;
  work_queue_id: string;
  due: Micros | null;
  state_name: string;
}

/** A pool in D1, with its queues. */
export interface PoolConfig {
  pool: typeof work_pool.$inferSelect;
  queues: (typeof work_queue.$inferSelect)[];
  /** The queues with deployments that are NOT_READY. */
  unready: string[];
}

/** A deployment. Its status changes with the status of its queue. */
export type DeploymentRow = Pick<
  typeof deployment.$inferSelect,
  "id" | "name" | "flow_id" | "storage_document_id" | "infrastructure_document_id" | "concurrency_limit_id"
> & { work_queue_id: string; flow_name: string | null };

/** A new status of a pool or a queue. */
export interface StatusChange {
  id: string;
  status: string;
  event_id: string;
  at: Micros;
  last_polled: Micros | null;
}

const PAGE_ROWS = 1000;

export class LivePoolStore extends WorkspaceStore {
  /** The pool of this name with its queues, or null. */
  async readConfig(name: string): Promise<PoolConfig | null> {
    const ofPool = sql`${work_queue.workspace_id} = ${this.workspaceId} and ${work_queue.work_pool_id} =
      (select p.id from ${work_pool} p where p.workspace_id = ${this.workspaceId} and p.name = ${name})`;
    const [pools = [], queues = [], unready = []] = await this.db.readAll([
      sql`select * from ${work_pool} where workspace_id = ${this.workspaceId} and name = ${name}`,
      sql`select * from ${work_queue} where ${ofPool}`,
      sql`select distinct d.work_queue_id as id from ${work_queue} join ${deployment} d
        on d.workspace_id = ${work_queue.workspace_id} and d.work_queue_id = ${work_queue.id} where ${ofPool} and d.status = 'NOT_READY'`,
    ]);
    // The rows are what the statements above select.
    const pool = pools[0] as PoolConfig["pool"] | undefined;
    if (!pool) return null;
    return { pool, queues: queues as PoolConfig["queues"], unready: (unready as { id: string }[]).map(({ id }) => id) };
  }

  /**
   * Reads the runs of these queues that hold slots, and the scheduled runs that are due by `until` (null: all scheduled
   * runs). Reads bounded pages.
   */
  async readLiveRuns(queueIds: readonly string[], until: Micros | null): Promise<LiveRow[]> {
    if (queueIds.length === 0) return [];
    const queues = list(queueIds);
    const holding = await this.pages(
      (last) => sql`select r.id, r.work_queue_id, null as due, r.state_name from ${flow_run} r indexed by flow_run_live
      where r.end_time is null and r.next_scheduled_start_time is null and r.workspace_id = ${this.workspaceId}
      and r.work_queue_id in ${queues} and r.state_type in ('PENDING', 'RUNNING', 'CANCELLING') and r.id > ${last?.id ?? ""}
      order by r.id limit ${PAGE_ROWS}`,
    );
    const untilThen = until === null ? sql`` : sql`and r.next_scheduled_start_time <= ${until}`;
    const due = await this.pages((last) => {
      const start = last?.due ?? Number.MIN_SAFE_INTEGER;
      // Prefect: a run that its own process retries is not offered to workers.
      return sql`select r.id, r.work_queue_id, r.next_scheduled_start_time as due, r.state_name from ${flow_run} r indexed by flow_run_live
      where r.end_time is null and r.next_scheduled_start_time >= ${start} ${untilThen}
      and (r.next_scheduled_start_time > ${start} or r.id > ${last?.id ?? ""}) and r.workspace_id = ${this.workspaceId}
      and r.work_queue_id in ${queues} and r.state_type = 'SCHEDULED'
      and coalesce(${RETRY_TYPE}, '') <> 'in_process'
      order by r.next_scheduled_start_time, r.id limit ${PAGE_ROWS}`;
    });
    return [...holding, ...due];
  }

  private async pages(select: (last: LiveRow | undefined) => SQL): Promise<LiveRow[]> {
    const rows: LiveRow[] = [];
    for (;;) {
      const page = await this.db.rows<LiveRow>(select(rows.at(-1)));
      rows.push(...page);
      if (page.length < PAGE_ROWS) return rows;
    }
  }

  /**
   * The deployments of these queues that do not have the status `status`. For NOT_READY, only deployments with a last
   * poll before `polledBefore`.
   */
  readDeployments(
    queueIds: readonly string[],
    status: "READY" | "NOT_READY",
    polledBefore: Micros,
  ): Promise<DeploymentRow[]> {
    const stale = sql`and d.last_polled is not null and d.last_polled <= ${polledBefore}`;
    return this.db.rows(sql`select d.id, d.name, d.work_queue_id, d.flow_id, f.name as flow_name, d.storage_document_id,
        d.infrastructure_document_id, d.concurrency_limit_id
      from ${deployment} d left join ${flow} f on f.workspace_id = d.workspace_id and f.id = d.flow_id
      where d.workspace_id = ${this.workspaceId} and d.work_queue_id in ${list(queueIds)}
      and d.status <> ${status} ${status === "READY" ? sql`` : stale} order by d.id`);
  }

  /** Writes new statuses of pools, queues and deployments. A repeat changes nothing. */
  async writeStatuses(changes: {
    pool: StatusChange | null;
    queues: readonly StatusChange[];
    deployments: readonly { id: string; status: string; last_polled: Micros | null }[];
  }): Promise<void> {
    const { pool, queues, deployments } = changes;
    await this.db.batch([
      ...(pool ? [this.setPoolStatus(pool)] : []),
      ...this.setStatuses(work_queue, queues, sql`and ${work_queue.status} <> 'PAUSED'`),
      ...this.setStatuses(deployment, deployments),
    ]);
  }

  private setStatuses(
    table: typeof work_queue | typeof deployment,
    changes: readonly { id: string; status: string; last_polled: Micros | null }[],
    condition = sql``,
  ): SQL[] {
    if (changes.length === 0) return [];
    return [
      sql`update ${table} set status = value ->> 'status', last_polled = coalesce(value ->> 'last_polled', last_polled)
        from ${each(changes)} where workspace_id = ${this.workspaceId} and ${table.id} = value ->> 'id' ${condition}`,
    ];
  }

  /** The status of a paused pool is not shown, so its change has no event. */
  private setPoolStatus(change: StatusChange): SQL {
    return sql`update ${work_pool} set status = ${change.status},
      last_status_event_id = case when is_paused then last_status_event_id else ${change.event_id} end,
      last_transitioned_status_at = case when is_paused then last_transitioned_status_at else ${change.at} end
      where workspace_id = ${this.workspaceId} and id = ${change.id}`;
  }
}

/** Deployments and their schedules in D1, of one workspace. */
import { type SQL, sql } from "drizzle-orm";
import { jsonRow } from "#db/codec";
import { readJson, readOptionalJson, type Statement } from "#db/database";
import { inPortions, LONG_BYTES, longColumns, shortenedColumns } from "#db/long-values";
import { type LimitRow, limits } from "#db/rows/concurrency-limits";
import { type DeploymentColumns, type ScheduleRow, schedules } from "#db/rows/deployments";
import { concurrency_limit } from "#db/tables/concurrency-limit";
import { deployment, deployment_schedule, deployment_version } from "#db/tables/deployment";
import { flow } from "#db/tables/flow";
import { work_pool, work_queue } from "#db/tables/work-pool";
import { WorkspaceStore } from "#db/workspace-store";
import type { Micros } from "#lib/clock";
import type { Portions } from "#lib/portions";
import type { MissedRuns } from "#wire/deployments";
import { each, laterThan, list, insertRows } from "#db/sql";

/** A deployment with its flow, queue, pool, limit and schedules. */
export type DeploymentRow = DeploymentColumns & {
  flow_name: string | null;
  queue_name: string | null;
  pool_id: string | null;
  pool_name: string | null;
  pool_type: string | null;
  /** The id of the newest version; null only while the deployment is being created. */
  version_id: string | null;
  /** JSON of the limit's row, or null. */
  limit_row: string | null;
  /** JSON array of the schedules' rows, last changed first. */
  schedule_rows: string;
};

/** The key with which a caller names a deployment. */
export type DeploymentKey = { id: string } | { flowId: string; name: string } | { flowName: string; name: string };

/** Prefect: the name of a deployment's own limit. */
export const ownLimitName = (deploymentId: string) => `deployment:${deploymentId}`;

const IN_LIST = shortenedColumns(deployment);

const ofDeployment = sql`${deployment_schedule.workspace_id} = ${deployment.workspace_id} and ${deployment_schedule.deployment_id} = ${deployment.id}`;
const SCHEDULE_ROWS = sql`(select json_group_array(${jsonRow(deployment_schedule, "s")}) from (
        select * from ${deployment_schedule} where ${ofDeployment} order by ${deployment_schedule.updated} desc) s)`;
const SCHEDULE_BYTES = sql`(select sum(octet_length(${deployment_schedule.schedule}) + octet_length(${deployment_schedule.parameters}))
        from ${deployment_schedule} where ${ofDeployment})`;

/** Selects whole rows of deployments. `rest` may have `where`, `order by` and `limit` over `deployment`. */
function selectDeployments(rest: SQL): SQL {
  return selectWith(sql`${deployment}.*, ${SCHEDULE_ROWS} as schedule_rows`, rest);
}

/** Selects rows of deployments without long values, which `inFull` adds. */
function selectDeploymentList(rest: SQL): SQL {
  const schedules = sql`iif(${SCHEDULE_BYTES} > ${LONG_BYTES}, ${SCHEDULE_BYTES}, ${SCHEDULE_ROWS})`;
  return selectWith(sql`${IN_LIST}, ${schedules} as schedule_rows`, rest);
}

function selectWith(columns: SQL, rest: SQL): SQL {
  return sql`select ${columns}, f.name as flow_name, q.name as queue_name,
      p.id as pool_id, p.name as pool_name, p.type as pool_type,
      (select v.id from ${deployment_version} v where v.workspace_id = ${deployment.workspace_id} and v.deployment_id = ${deployment.id}
        order by v.ordinal desc limit 1) as version_id,
      case when l.id is null then null else ${jsonRow(concurrency_limit, "l")} end as limit_row
    from ${deployment}
    left join ${flow} f on f.workspace_id = ${deployment.workspace_id} and f.id = ${deployment.flow_id}
    left join ${work_queue} q on q.workspace_id = ${deployment.workspace_id} and q.id = ${deployment.work_queue_id}
    left join ${work_pool} p on p.workspace_id = q.workspace_id and p.id = q.work_pool_id
    left join ${concurrency_limit} l on l.workspace_id = ${deployment.workspace_id} and l.id = ${deployment.concurrency_limit_id}
    ${rest}`;
}

/** The deployments of one workspace. */
export class DeploymentStore extends WorkspaceStore {
  /** One deployment, or undefined. */
  async read(key: DeploymentKey): Promise<DeploymentRow | undefined> {
    const [row] = await this.db.rows<DeploymentRow>(this.select(key));
    return row;
  }

  /** The statement that reads one deployment, for a batch of several reads. */
  select(key: DeploymentKey): SQL {
    return selectDeployments(sql`where ${this.by(key)}`);
  }

  /** Deployments by their ids, without long values, which `inFull` adds. */
  readList(ids: readonly string[]): Promise<DeploymentRow[]> {
    return this.db.rows(selectDeploymentList(sql`where ${this.among(ids)}`));
  }

  /** A page of deployments without long values, as in `readList`. `where` and `order` come from the filters. */
  list(where: SQL, order: SQL, limit: number, offset: number): Promise<DeploymentRow[]> {
    return this.db.rows(selectDeploymentList(sql`where ${where} order by ${order} limit ${limit} offset ${offset}`));
  }

  /** The same deployments with their long values. */
  inFull(rows: readonly DeploymentRow[]): Portions<DeploymentRow> {
    return inPortions(
      rows,
      [...longColumns(deployment), "schedule_rows"],
      ({ id }) => id,
      (ids) => this.db.rows<DeploymentRow>(selectDeployments(sql`where ${this.among(ids)}`)),
    );
  }

  /** Commits statements in one batch. Gives the results, and the deployment after the batch, or undefined. */
  async commit(id: string, statements: readonly Statement[]) {
    const written = await this.db.batch([...statements, this.select({ id })]);
    return { written, row: written.at(-1)?.rows[0] as DeploymentRow | undefined }; // a row of `select`
  }

  /** How many deployments there are. */
  count(where: SQL): Promise<number> {
    return this.countRows(deployment, where);
  }

  /** Creates a deployment, unless its flow does not exist or already has a deployment of this name. */
  insert(row: DeploymentColumns): Statement {
    const hasFlow = sql`exists (select 1 from ${flow} where ${flow.workspace_id} = ${this.workspaceId} and ${flow.id} = ${row.flow_id})`;
    return insertRows(deployment, [row], { guard: hasFlow, tail: sql`on conflict do nothing` });
  }

  /** Changes a deployment. */
  update(id: string, changes: Partial<DeploymentColumns> & Pick<DeploymentColumns, "updated">): Statement {
    const updated = laterThan(deployment.updated, changes.updated);
    return this.db.build
      .update(deployment)
      .set({ ...changes, updated })
      .where(this.by({ id }));
  }

  /**
   * Removes deployments with their schedules, own limits and versions. The first statement gives the ids of the
   * deployments. The third statement gives the ids of the limits.
   */
  remove(ids: readonly string[]): Statement[] {
    const names = ids.map(ownLimitName);
    return [
      sql`delete from ${deployment} where ${this.among(ids)} returning id`,
      sql`delete from ${deployment_schedule} where ${deployment_schedule.workspace_id} = ${this.workspaceId}
        and ${deployment_schedule.deployment_id} in ${list(ids)}`,
      sql`delete from ${concurrency_limit} where ${concurrency_limit.workspace_id} = ${this.workspaceId}
        and ${concurrency_limit.name} in ${list(names)} returning id`,
      sql`delete from ${deployment_version} where ${deployment_version.workspace_id} = ${this.workspaceId}
        and ${deployment_version.deployment_id} in ${list(ids)}`,
    ];
  }

  /** Adds schedules to a deployment, if the deployment exists. */
  insertSchedules(deploymentId: string, rows: readonly ScheduleRow[]): Statement[] {
    return rows.length === 0 ? [] : [insertRows(deployment_schedule, rows, { guard: this.isThere(deploymentId) })];
  }

  /** Replaces all schedules of a deployment. */
  replaceSchedules(deploymentId: string, rows: readonly ScheduleRow[]): Statement[] {
    return [this.removeSchedules(deploymentId), ...this.insertSchedules(deploymentId, rows)];
  }

  /** Changes a schedule of a deployment. */
  updateSchedule(deploymentId: string, id: string, changes: Partial<ScheduleRow>): Statement {
    return this.db.build.update(deployment_schedule).set(changes).where(this.ofSchedules(deploymentId, id));
  }

  /** Removes a deployment's schedules, or one schedule. */
  removeSchedules(deploymentId: string, id?: string): Statement {
    return this.db.build.delete(deployment_schedule).where(this.ofSchedules(deploymentId, id));
  }

  /** Sets the status of deployments. Gives the ids of deployments that had another status. Prefect: `updated` stays. */
  markStatus(ids: readonly string[], status: "READY" | "NOT_READY"): Statement {
    return sql`update ${deployment} set status = ${status} where ${this.among(ids)} and ${deployment.status} <> ${status} returning id`;
  }

  /** Sets `last_polled` of deployments, unless it is later than `before`. */
  notePoll(ids: readonly string[], now: Micros, before: Micros): Statement {
    return sql`update ${deployment} set last_polled = ${now} where ${this.among(ids)}
      and (${deployment.last_polled} is null or ${deployment.last_polled} <= ${before})`;
  }

  /**
   * Makes the active schedules of a deployment due for the next top-up. Inactive schedules, and schedules of a paused
   * deployment, get no top-up.
   */
  callForTopUp(deploymentId: string, now: Micros): Statement {
    const isPaused = sql`(select ${deployment.paused} from ${deployment} where ${this.by({ id: deploymentId })})`;
    return sql`update ${deployment_schedule} set scheduled_until = ${now},
      top_up_at = case when ${deployment_schedule.active} = 1 and ${isPaused} = 0 then ${now} else null end
      where ${this.ofSchedules(deploymentId)}`;
  }

  /**
   * Sets the time up to which schedules have runs. Skips schedules that were changed since the read, and schedules of a
   * deployment that was changed.
   */
  markSchedules(marks: readonly ScheduleMark[]): Statement {
    return sql`update ${deployment_schedule} set scheduled_until = value ->> '$.scheduled_until', top_up_at = value ->> '$.top_up_at'
      from ${each(marks)}
      where ${deployment_schedule.workspace_id} = ${this.workspaceId}
        and ${deployment_schedule.deployment_id} = value ->> '$.deployment_id' and ${deployment_schedule.id} = value ->> '$.id'
        and ${deployment_schedule.active} = 1 and ${deployment_schedule.updated} = value ->> '$.updated'
        and exists (select 1 from ${deployment} where ${deployment.workspace_id} = ${this.workspaceId}
          and ${deployment.id} = value ->> '$.deployment_id' and ${deployment.paused} = 0
          and ${deployment.updated} = value ->> '$.deployment_updated')
      returning ${sql.raw("id")}`;
  }

  /** Creates a deployment's own limit under the id, or changes the present limit. The deployment then uses it. */
  writeOwnLimit(deploymentId: string, id: string, limit: number, now: Micros): Statement[] {
    const keys = { workspace_id: this.workspaceId, id, created: now, updated: now };
    const name = ownLimitName(deploymentId);
    const written = insertRows(
      concurrency_limit,
      [limits.blank({ ...keys, name, limit, active: true, slot_decay_per_second: 0 })],
      {
        guard: this.isThere(deploymentId),
        tail: sql`on conflict (workspace_id, name) do update set "limit" = excluded."limit", updated = excluded.updated`,
      },
    );
    const used = sql`update ${deployment} set concurrency_limit_id = (select l.id from ${concurrency_limit} l
      where l.workspace_id = ${this.workspaceId} and l.name = ${name}) where ${this.by({ id: deploymentId })}`;
    return [written, used];
  }

  /** Removes a deployment's own limit. Prefect removes any limit that the deployment uses, even a shared limit. */
  removeOwnLimit(deploymentId: string): Statement {
    return sql`delete from ${concurrency_limit} where workspace_id = ${this.workspaceId} and name = ${ownLimitName(deploymentId)}`;
  }

  private by(key: DeploymentKey): SQL {
    const own = sql`${deployment.workspace_id} = ${this.workspaceId}`;
    if ("id" in key) return sql`${own} and ${deployment.id} = ${key.id}`;
    const flowId =
      "flowId" in key
        ? sql`${key.flowId}`
        : sql`(select o.id from ${flow} o where o.workspace_id = ${this.workspaceId} and o.name = ${key.flowName})`;
    return sql`${own} and ${deployment.flow_id} = ${flowId} and ${deployment.name} = ${key.name}`;
  }

  private isThere(id: string): SQL {
    return sql`exists (select 1 from ${deployment} where ${this.by({ id })})`;
  }

  private among(ids: readonly string[]): SQL {
    return sql`${deployment.workspace_id} = ${this.workspaceId} and ${deployment.id} in ${list(ids)}`;
  }

  private ofSchedules(deploymentId: string, id?: string): SQL {
    const all = sql`${deployment_schedule.workspace_id} = ${this.workspaceId} and ${deployment_schedule.deployment_id} = ${deploymentId}`;
    return id === undefined ? all : sql`${all} and ${deployment_schedule.id} = ${id}`;
  }
}

/** The time up to which a schedule has runs. Also the last changes of the schedule and of its deployment at the time of the read. */
export type ScheduleMark = Pick<ScheduleRow, "deployment_id" | "id" | "updated" | "scheduled_until" | "top_up_at"> & {
  deployment_updated: Micros;
};

/** The schedules of a deployment, last changed first. */
export function schedulesOf(row: Pick<DeploymentRow, "schedule_rows">): ScheduleRow[] {
  return readJson<ScheduleRow[]>(row.schedule_rows);
}

/** The limit of a deployment. */
export function limitOf(row: Pick<DeploymentRow, "limit_row">): LimitRow | null {
  return readOptionalJson<LimitRow>(row.limit_row);
}

/** A schedule as answers show it. */
export function printSchedule(row: ScheduleRow) {
  return {
    ...schedules.print(row),
    ...(row.missed_runs !== null && { missed_runs: readJson<MissedRuns>(row.missed_runs) }),
  };
}

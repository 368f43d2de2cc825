/** The statements of the sweeps. They read rows of all workspaces, and each row names its workspace. */
import { type SQL, sql } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import { storedDetail } from "#db/short/details";
import { uuidText } from "#db/short/ids";
import { joinsFlowRunIn, type KeyForm, KEY_FORMS, throughIndex } from "#db/task-run-keys";
import { RETRY_TYPE } from "#db/short/policy";
import { asList, each, jsonValue } from "#db/sql";
import { deployment, deployment_schedule } from "#db/tables/deployment";
import { event_resource, event_segment } from "#db/tables/event";
import { flow_run, flow_run_state } from "#db/tables/flow-run";
import { work_pool, work_queue } from "#db/tables/work-pool";
import { heartbeatPrefix, hourOf } from "#events/segments";
import type { Micros } from "#lib/clock";
import { UNENDED } from "#orchestration/set-flow-run-state";
import { isMissed, JOIN_SCHEDULE, MISSED_RUN } from "#orchestration/mark-late";
import { nextIn, type Order, type Page, placeIn, type RowKey } from "#services/due";
import { isSilentSince, LOOK_BACK, MOST_HEARTBEATS, SIGNS } from "#services/signs-of-life";
import type { Period } from "#services/turns";

const LIVE = ["r.workspace_id", "r.work_queue_id", "r.deployment_id", "r.id"];
const PLACE_OF_LIVE = ["r.workspace_id", "coalesce(r.work_queue_id, '')", "coalesce(r.deployment_id, '')", "r.id"];
const DUE = "r.next_scheduled_start_time";
/** The order of `flow_run_live` for runs without a due time. */
const BY_LIVE: Order = { alias: "r", by: LIVE, place: ["0", ...PLACE_OF_LIVE] };
/** The order of `flow_run_live` for runs with a due time. */
const BY_DUE: Order = { alias: "r", by: [DUE, ...LIVE], place: [DUE, ...PLACE_OF_LIVE] };
/** The order of `flow_run_halted` for runs of one state type. */
const BY_HALTED: Order = { alias: "r", by: ["r.state_timestamp", "r.workspace_id", "r.id"] };

/** Whether the run `r`, which has not ended, became due in a period: an index seek. */
const becameDue = ({ after, until }: Period): SQL =>
  sql`r.end_time is null and r.next_scheduled_start_time > ${after} and r.next_scheduled_start_time <= ${until}`;

const JOIN_DEPLOYMENT = sql`left join ${deployment} d on d.workspace_id = r.workspace_id and d.id = r.deployment_id`;

/** The Scheduled runs that became due in a period: an index seek among the runs that have not ended. */
export function selectOverdue(period: Period, page: Page): SQL {
  return sql`select r.workspace_id, r.id, ${placeIn(BY_DUE)} from ${flow_run} r indexed by flow_run_live
    where ${becameDue(period)} and r.state_type = 'SCHEDULED' and r.state_name = 'Scheduled'
    ${nextIn(page, BY_DUE)}`;
}

/** Whether any schedule has a policy for missed runs. A plain `exists` does not work: SQLite would make it a join and then sort the runs. */
const hasPolicies = sql`iif(exists (
  select 1 from ${deployment_schedule} p indexed by deployment_schedule_missed_runs where p.missed_runs is not null), 1, 0)`;

/** The runs that became due in a period and that their schedule skips. Reads nothing if no schedule has a policy. */
export function selectMissed(period: Period, page: Page): SQL {
  return sql`select r.workspace_id, ${MISSED_RUN}, ${placeIn(BY_DUE)}
    from ${flow_run} r indexed by flow_run_live ${JOIN_SCHEDULE}
    where ${hasPolicies}
      and ${becameDue(period)} and ${isMissed(period.until)}
    ${nextIn(page, BY_DUE)}`;
}

/** The runs that have been paused too long. Paused runs have their own index. Their timeouts are in their states. */
export function selectExpired(now: Micros, page: Page): SQL {
  return sql`select r.workspace_id, r.id, ${placeIn(BY_HALTED)} from ${flow_run} r indexed by flow_run_halted
    cross join ${flow_run_state} s on s.id = r.state_id
    where r.state_type in ('PAUSED', 'CANCELLING') and r.state_type = 'PAUSED'
      and ${storedDetail("s.state_details", "pause_timeout")} < ${now}
    ${nextIn(page, BY_HALTED)}`;
}

/** The runs that have been Cancelling since a time or longer. Cancelling runs have their own index, by the time of their state. */
export function selectStuckCancelling(since: Micros, page: Page): SQL {
  return sql`select r.workspace_id, r.id, r.state_id, ${placeIn(BY_HALTED)} from ${flow_run} r indexed by flow_run_halted
    where r.state_type in ('PAUSED', 'CANCELLING') and r.state_type = 'CANCELLING' and r.state_timestamp <= ${since}
    ${nextIn(page, BY_HALTED)}`;
}

/** The conditions for a stuck pending run. */
export interface StuckPending {
  /** The first words of the messages of states that Lazarus has created. The column `times` counts these states. */
  message: string;
  /** Whether the run `r` has been silent too long, for runs without infrastructure and with infrastructure. */
  isSilent: SQL;
  isSilentWithInfrastructure: SQL;
}

/** The pending runs of deployments and pools that have been silent too long. */
export function selectStuckPending({ message, isSilent, isSilentWithInfrastructure }: StuckPending, page: Page): SQL {
  return sql`select r.workspace_id, r.id, r.state_id, ${SIGNS}, ${placeIn(BY_LIVE)}, (
      select count(*) from json_each(${asList(sql.raw("r.state_ids"))}) j cross join ${flow_run_state} s on s.id = j.value
      where s.type = 'SCHEDULED' and instr(s.message, ${message}) = 1
    ) as times
    from ${flow_run} r indexed by flow_run_live
    ${JOIN_DEPLOYMENT}
    where r.end_time is null and r.next_scheduled_start_time is null and r.state_type = 'PENDING'
      and (r.deployment_id is not null or r.work_queue_id is not null)
      and case when r.infrastructure_pid is null then ${isSilent} else ${isSilentWithInfrastructure} end
      and coalesce(${jsonValue("d.reliability", "$.lazarus")}, 1)
    ${nextIn(page, BY_LIVE)}`;
}

/** The running runs that have been silent since a time: a part of the live runs without a due time. */
export function selectSilent(since: Micros, now: Micros, page: Page): SQL {
  return sql`select r.workspace_id, r.id, r.state_id, null as due, ${SIGNS}, ${placeIn(BY_LIVE)}
    from ${flow_run} r indexed by flow_run_live
    ${JOIN_DEPLOYMENT}
    where r.end_time is null and r.next_scheduled_start_time is null and r.state_type = 'RUNNING'
      and ${isSilentSince(since, now)}
      and coalesce(${jsonValue("d.reliability", "$.zombie_detection")}, 1)
    ${nextIn(page, BY_LIVE)}`;
}

/** The runs that were due for a retry by their own process in a period, and that have been silent since the retry was due. */
export function selectOverdueRetries(period: Period, now: Micros, page: Page): SQL {
  return sql`select r.workspace_id, r.id, r.state_id, r.next_scheduled_start_time as due, ${SIGNS}, ${placeIn(BY_DUE)}
    from ${flow_run} r indexed by flow_run_live
    ${JOIN_DEPLOYMENT}
    where ${becameDue(period)} and r.state_name = 'AwaitingRetry' and ${RETRY_TYPE} = 'in_process'
      and ${isSilentSince(period.until, now)}
      and coalesce(${jsonValue("d.reliability", "$.zombie_detection")}, 1)
    ${nextIn(page, BY_DUE)}`;
}

/** The rows of two selects that have the same columns and the same kind of place. The rows of the first select come first. */
export const selectBoth = (first: SQL, second: SQL, { most }: Page): SQL =>
  sql`select * from (${first}) union all select * from (${second}) limit ${most}`;

/**
 * The newest heartbeats of each run, from some hours before the run's last sign of life. The segments that involve a run list their
 * heartbeats. One row for each run, in the order of the runs, with pairs: a segment's id and its entry about a heartbeat.
 */
export function selectHeartbeats(runs: readonly (RowKey & { lastHeard: Micros })[]): SQL {
  const wanted = runs.map(({ workspace_id, id, lastHeard }) => [
    workspace_id,
    `prefect.flow-run.${id}`,
    hourOf(lastHeard - LOOK_BACK),
    JSON.stringify(heartbeatPrefix(id)).slice(0, -1),
    heartbeatPrefix(id),
  ]);
  return sql`select (
      select json_group_array(json_array(id, entry)) from (
        select c.id, e.value as entry
        from ${event_resource} x
        cross join ${event_segment} c on c.workspace_id = x.workspace_id and c.hour = x.hour and c.id between x.first_id and x.last_id
        cross join json_each(c.resources) e
        where x.workspace_id = w.value ->> 0 and x.resource_id = w.value ->> 1 and x.hour >= w.value ->> 2
          and instr(c.resources, w.value ->> 3) > 0 and instr(e.value, w.value ->> 4) = 1
        order by x.hour desc, x.first_id desc limit ${MOST_HEARTBEATS})
    ) as found
    from ${each(wanted)} w order by w.key`;
}

const BY_TOP_UPS: Order = { alias: "s", by: ["s.top_up_at", "s.workspace_id", "s.deployment_id", "s.id"] };

/** The schedules that are due for new runs, the longest overdue first: an index seek. */
export function selectDueSchedules(now: Micros, page: Page): SQL {
  return sql`select s.workspace_id, s.deployment_id, s.id, ${placeIn(BY_TOP_UPS)} from ${deployment_schedule} s
    where s.top_up_at <= ${now}
    ${nextIn(page, BY_TOP_UPS)}`;
}

const BY_SERVED: Order = { alias: "d", by: ["d.last_polled", "d.workspace_id", "d.id"] };

/** The served deployments that are READY and have had no poll since a time: an index seek. */
export function selectUnpolled(since: Micros, page: Page): SQL {
  return sql`select d.workspace_id, d.id, ${placeIn(BY_SERVED)} from ${deployment} d
    where d.status = 'READY' and d.work_queue_id is null and d.last_polled <= ${since}
    ${nextIn(page, BY_SERVED)}`;
}

const BY_POOLS: Order = { alias: "p", by: ["p.workspace_id", "p.id"] };

/** The work pools that are READY. */
export function selectReadyPools(page: Page): SQL {
  return sql`select p.workspace_id, p.id, p.name, ${placeIn(BY_POOLS)} from ${work_pool} p
    where p.status = 'READY'
    ${nextIn(page, BY_POOLS)}`;
}

/** The next states between two ids, in the order of their ids. */
export function selectStates(after: string, before: string, most: number): SQL {
  return sql`select st.workspace_id, st.id from ${flow_run_state} st
    where st.id > ${after} and st.id < ${before} order by st.id limit ${most}`;
}

/** The runs that a range of states cancelled, and that have a task run or a subflow that has not ended. */
export function selectWithChildren(range: (id: SQL) => SQL): SQL {
  return sql`select r.workspace_id, r.id from ${flow_run_state} st
    cross join ${flow_run} r on r.workspace_id = st.workspace_id and r.id = st.flow_run_id
    where ${range(sql.raw("st.id"))} and st.type = 'CANCELLED' and r.state_id = st.id
      and (${sql.join(KEY_FORMS.map(hasUnendedChild), sql` or `)})`;
}

/** Whether the run `r` has a task run in one of the forms that has not ended, or that has a subflow that has not ended. */
function hasUnendedChild(form: KeyForm): SQL {
  return sql`exists (
    select 1 from ${throughIndex(form, "t")} where ${joinsFlowRunIn(form, "r.workspace_id", "r.id", "t")} and (
      t.state_type in ${UNENDED} or exists (
        select 1 from ${flow_run} c indexed by flow_run_parent
        where c.parent_task_run_id is not null and c.workspace_id = r.workspace_id and c.parent_task_run_id = ${sql.raw(uuidText("t.id"))}
          and c.state_type in ${UNENDED} and (c.deployment_id is null or c.state_type <> 'CANCELLING'))))`;
}

/** The runs of work pools that a range of states cancelled with this message, with the data for the message to the pool's workers. */
export function selectCancelledWith(message: string, range: (id: SQL) => SQL): SQL {
  return sql`
    select r.workspace_id, r.id, r.state_id, r.infrastructure_pid, r.work_queue_id,
      p.id as pool_id, p.name as pool_name, p.type as pool_type
    from ${flow_run_state} st
    cross join ${flow_run} r on r.workspace_id = st.workspace_id and r.id = st.flow_run_id
    cross join ${work_queue} q on q.workspace_id = r.workspace_id and q.id = r.work_queue_id
    cross join ${work_pool} p on p.workspace_id = q.workspace_id and p.id = q.work_pool_id
    where ${range(sql.raw("st.id"))} and st.type = 'CANCELLED' and st.message = ${message} and r.state_id = st.id`;
}

/** The recursive table `w(id)` of the workspaces after `last` that have rows in a table. One seek finds each workspace. The last row is null. */
export function workspacesAfter(last: string, table: SQLiteTable): SQL {
  const following = (id: SQL) => sql`select min(workspace_id) from ${table} where workspace_id > ${id}`;
  return sql`w(id) as (
      ${following(sql`${last}`)} union all select (${following(sql`w.id`)}) from w where w.id is not null
    )`;
}

/**
 * The first workspace after `last` that has rows in a table and meets a condition on `w.id`. Each workspace that does
 * not meet it costs two seeks.
 */
export function selectNextWorkspace(table: SQLiteTable, last: string, condition: SQL): SQL {
  return sql`with recursive ${workspacesAfter(last, table)}
    select id from w where id is not null and ${condition} limit 1`;
}

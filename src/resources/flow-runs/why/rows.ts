/** Reads a run, and the rows that may prevent its start, in one round trip. */
import { type SQL, sql } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import { concurrency_limit } from "#db/tables/concurrency-limit";
import { deployment, deployment_schedule } from "#db/tables/deployment";
import { flow_run, flow_run_state } from "#db/tables/flow-run";
import { task_run } from "#db/tables/task-run";
import { work_pool, work_queue } from "#db/tables/work-pool";
import type { Micros } from "#lib/clock";
import { isMissed, JOIN_SCHEDULE } from "#orchestration/mark-late";
import { type FlowRunRow, STATE_COLUMNS, type StateColumns } from "#db/rows/flow-runs";
import type { Tools } from "#tools";
import { createdByField } from "#db/short/created-by";
import { originId } from "#db/short/labels";
import { RETRY_TYPE } from "#db/short/policy";
import { uuidText } from "#db/short/ids";
import { asList, jsonValue, list } from "#db/sql";
import { areTaskRuns, ofFlowRun } from "#db/task-run-keys";

/** The maximum number of runs that may hold slots, of task runs and of pools. */
const MOST_NAMED = 500;
const MOST_TASKS = 200;
const MOST_POOLS = 20;

/** Columns of a joined row. Each name begins with the alias. Null if there is no such row. */
type Joined<Alias extends string, T extends SQLiteTable, Column extends keyof T["$inferSelect"] & string> = {
  [C in Column as `${Alias}_${C}`]: T["$inferSelect"][C] | null;
};
type OfRun = Pick<
  FlowRunRow,
  | ("id" | "name" | "created" | "deployment_id" | "work_queue_name" | "parent_task_run_id")
  | ("infrastructure_pid" | "run_count" | "start_time" | "end_time")
>;
type Deployment = Joined<"d", typeof deployment, "name" | "paused" | "last_polled" | "work_queue_id">;
type Limit = Joined<"c", typeof concurrency_limit, "id" | "name" | "limit" | "active">;
type Schedule = Joined<"h", typeof deployment_schedule, "id" | "slug" | "active">;
type Queue = Joined<"q", typeof work_queue, "id" | "name" | "is_paused" | "concurrency_limit" | "priority">;
type Pool = Joined<"p", typeof work_pool, "id" | "name" | "type" | "is_paused" | "concurrency_limit">;

/** A run with its present state, its deployment, the deployment's limit, and the run's schedule, queue and pool. */
export interface WhyRow extends OfRun, StateColumns, Deployment, Limit, Schedule, Queue, Pool {
  /** The deployment that the run was made from, by the run's label: the label stays when the deployment is deleted. */
  origin_id: string | null;
  retry_type: string | null;
  due: Micros | null;
  /** Whether the run may be scheduled anew if it stays Pending. */
  d_lazarus: number;
  d_strategy: "ENQUEUE" | "CANCEL_NEW" | null;
}

/** The columns of a run that holds a slot. */
export interface NamedRun {
  id: string;
  name: string;
  state_name: string | null;
  since: Micros | null;
}

/** The rows of one round trip. */
export interface WhyRows {
  row: WhyRow;
  /** Live runs that may have slots of the same limits, pool or queue. */
  underWay: NamedRun[];
  /** Task runs that are Pending, each with the limit of one of its tags. */
  tagged: { id: string; limit_id: string; limit_name: string; limit: number }[];
  pools: { name: string; type: string }[];
  /** The policy that will skip the run, or null. */
  missed: { policy: string; window_seconds: number } | null;
}

/** Reads the run and the rows that may prevent its start. Gives undefined if the run does not exist. */
export async function readWhyRows({ db, workspaceId }: Tools, id: string, now: Micros): Promise<WhyRows | undefined> {
  const run = sql`r.workspace_id = ${workspaceId} and r.id = ${id}`;
  const [rows = [], underWay = [], tagged = [], pools = [], missed = []] = await db.readAll([
    selectRun(run),
    selectUnderWay(run, workspaceId),
    selectTagged(id, workspaceId),
    selectPools(run, workspaceId),
    selectMissed(run, now),
  ]);
  // The rows are what the statements below select.
  const row = rows[0] as WhyRow | undefined;
  if (!row) return undefined;
  return {
    row,
    underWay: underWay as unknown as NamedRun[],
    tagged: tagged as WhyRows["tagged"],
    pools: pools as WhyRows["pools"],
    missed: (missed[0] as WhyRows["missed"] | undefined) ?? null,
  };
}

/** Reads the names of flow runs and task runs by their ids. */
export function readNames({ db, workspaceId }: Tools, ids: readonly string[]): Promise<NamedRun[]> {
  const named = sql`select id, name, state_name, state_timestamp as since`;
  return db.rows<NamedRun>(
    sql`${named} from ${flow_run} where workspace_id = ${workspaceId} and id in ${list(ids)}
      union all ${named} from ${task_run} where ${areTaskRuns(workspaceId, ids)}`,
  );
}

function selectRun(run: SQL): SQL {
  return sql`select r.id, r.name, r.created, r.deployment_id, ${originId("r")} as origin_id, r.work_queue_name,
      r.parent_task_run_id, r.infrastructure_pid, ${RETRY_TYPE} as retry_type, r.run_count,
      r.next_scheduled_start_time as due, r.start_time, r.end_time, ${STATE_COLUMNS},
      d.name as d_name, d.paused as d_paused, d.last_polled as d_last_polled, d.work_queue_id as d_work_queue_id,
      coalesce(${jsonValue("d.reliability", "$.lazarus")}, 1) as d_lazarus,
      ${jsonValue("d.concurrency_options", "$.collision_strategy")} as d_strategy,
      c.id as c_id, c.name as c_name, c."limit" as c_limit, c.active as c_active,
      h.id as h_id, h.slug as h_slug, h.active as h_active,
      q.id as q_id, q.name as q_name, q.is_paused as q_is_paused, q.concurrency_limit as q_concurrency_limit, q.priority as q_priority,
      p.id as p_id, p.name as p_name, p.type as p_type, p.is_paused as p_is_paused, p.concurrency_limit as p_concurrency_limit
    from ${flow_run} r
    left join ${flow_run_state} s on s.id = r.state_id
    left join ${deployment} d on d.workspace_id = r.workspace_id and d.id = r.deployment_id
    left join ${concurrency_limit} c on c.workspace_id = d.workspace_id and c.id = d.concurrency_limit_id
    left join ${deployment_schedule} h on h.workspace_id = r.workspace_id and h.deployment_id = r.deployment_id
      and h.id = ${createdByField(sql.raw("r.created_by"), "id")}
    left join ${work_queue} q on q.workspace_id = r.workspace_id and q.id = r.work_queue_id
    left join ${work_pool} p on p.workspace_id = q.workspace_id and p.id = q.work_pool_id
    where ${run}`;
}

/**
 * Selects the live runs that may have a slot of the run's pool, queue or limit, by the index of live runs. The
 * statement reads no runs if nothing has a limit.
 */
export function selectUnderWay(run: SQL, workspaceId: string): SQL {
  const limited = sql`(select case when q.concurrency_limit is not null or p.concurrency_limit is not null then p.id end as pool_id,
      d.concurrency_limit_id as limit_id
    from ${flow_run} r
    left join ${deployment} d on d.workspace_id = r.workspace_id and d.id = r.deployment_id
    left join ${work_queue} q on q.workspace_id = r.workspace_id and q.id = r.work_queue_id
    left join ${work_pool} p on p.workspace_id = q.workspace_id and p.id = q.work_pool_id
    where ${run} and r.state_type = 'SCHEDULED')`;
  return sql`select u.id, u.name, u.state_name, u.state_timestamp as since
    from ${limited} l cross join ${flow_run} u indexed by flow_run_live
      on u.end_time is null and u.next_scheduled_start_time is null and u.workspace_id = ${workspaceId}
    left join ${work_queue} q on q.workspace_id = u.workspace_id and q.id = u.work_queue_id
    left join ${deployment} d on d.workspace_id = u.workspace_id and d.id = u.deployment_id
    where coalesce(l.pool_id, l.limit_id) is not null
      and (q.work_pool_id = l.pool_id or d.concurrency_limit_id = l.limit_id) limit ${MOST_NAMED}`;
}

function selectTagged(id: string, workspaceId: string): SQL {
  return sql`select t.id, c.id as limit_id, c.name as limit_name, c."limit"
    from ${task_run} t, json_each(${asList(sql.raw("t.tags"))}) tag
    join ${concurrency_limit} c on c.workspace_id = ${workspaceId} and c.name = 'tag:' || tag.value and c.active = 1
    where ${ofFlowRun(workspaceId, id, "t")} and t.state_type = 'PENDING'
    order by c.name, ${sql.raw(uuidText("t.id"))} limit ${MOST_TASKS}`;
}

/** Selects the other pools that have workers. */
function selectPools(run: SQL, workspaceId: string): SQL {
  return sql`select p.name, p.type from ${work_pool} p where p.workspace_id = ${workspaceId} and p.status = 'READY'
    and p.id is not (select q.work_pool_id from ${flow_run} r
      join ${work_queue} q on q.workspace_id = r.workspace_id and q.id = r.work_queue_id where ${run})
    order by p.name limit ${MOST_POOLS}`;
}

function selectMissed(run: SQL, now: Micros): SQL {
  return sql`select ${jsonValue("s.missed_runs", "$.policy")} as policy, ${jsonValue("s.missed_runs", "$.window_seconds")} as window_seconds
    from ${flow_run} r ${JOIN_SCHEDULE} where ${run} and ${isMissed(now)}`;
}

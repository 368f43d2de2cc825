/** What is left to do of cancellations: children that have not ended, and runs that nobody brings from Cancelling to Cancelled. */
import { type SQL, sql } from "drizzle-orm";
import { flow_run, flow_run_state } from "#db/tables/flow-run";
import { task_run } from "#db/tables/task-run";
import { work_pool, work_queue } from "#db/tables/work-pool";
import type { Micros } from "#lib/clock";
import { enqueueCleanup } from "#objects/work-pool/client";
import { cancelChildren, UNENDED } from "#orchestration/cancel-children";
import { onlyWhile } from "#orchestration/only-while";
import { CoreFlowPolicy } from "#orchestration/policies";
import { setFlowRunState } from "#orchestration/set-flow-run-state";
import { andNoneOf, forEachRun, inRounds } from "#services/by-workspace";
import { walkStates } from "#services/walk-states";
import type { Tools } from "#tools";

/** How many stuck runs are ended at a time, and how often in one turn; what is left comes with the next. */
const AT_ONCE = 200;
const ROUNDS = 5;
const MINUTE: Micros = 60_000_000;
const TIMED_OUT = "The cancellation of the flow run timed out.";

/**
 * A run's children are cancelled with it; the first walk does it where that process died. The second finds what was
 * reported of the run, or started by it, only after its end.
 */
const WALKS = [
  { name: "cancelled runs", age: MINUTE },
  { name: "cancelled runs, an hour later", age: 60 * MINUTE },
];

/** Cancels the children that runs which were cancelled some while ago still have. */
export async function cancelLeftChildren(tools: Tools): Promise<void> {
  for (const walk of WALKS) {
    await walkStates(tools, walk, async (range) => {
      const cancelled = await tools.db.rows<{ workspace_id: string; id: string }>(selectWithChildren(range));
      await forEachRun(tools, cancelled, (own, { id }) => cancelChildren(own, id));
      await tellWorkers(tools, range(sql.raw("st.id")));
    });
  }
}

/** Runs that are cancelled since one of these states, and have a task run or a subflow that goes on. */
export function selectWithChildren(range: (id: SQL) => SQL) {
  return sql`select r.workspace_id, r.id from ${flow_run_state} st
    cross join ${flow_run} r on r.workspace_id = st.workspace_id and r.id = st.flow_run_id
    where ${range(sql.raw("st.id"))} and st.type = 'CANCELLED' and r.state_id = st.id and exists (
      select 1 from ${task_run} t indexed by task_run_flow_run where t.flow_run_id is not null and t.workspace_id = r.workspace_id and t.flow_run_id = r.id and (
        t.state_type in ${UNENDED} or exists (
          select 1 from ${flow_run} c indexed by flow_run_parent where c.parent_task_run_id is not null and c.workspace_id = t.workspace_id and c.parent_task_run_id = t.id
            and c.state_type in ${UNENDED} and (c.deployment_id is null or c.state_type <> 'CANCELLING'))))`;
}

/** Cancels the runs that are Cancelling for too long, and lets the workers of their pools clean up after them. */
export async function cancelStuckRuns(tools: Tools): Promise<void> {
  const { cancelling_timeout_seconds: seconds } = tools.settings.services.cancellation_cleanup;
  const since = tools.clock() - seconds * 1_000_000;
  await inRounds<Stuck>(
    { atOnce: AT_ONCE, rounds: ROUNDS },
    (before) => tools.db.rows(selectStuck(since, before)),
    (stuck) => forEachRun(tools, stuck, endStuckRun),
  );
}

async function endStuckRun(tools: Tools, { id, state_id }: Stuck): Promise<void> {
  const policy = onlyWhile(({ initial }) => initial?.id === state_id, CoreFlowPolicy);
  const { state, written } = await setFlowRunState(tools, id, { type: "CANCELLED", message: TIMED_OUT }, { policy });
  if (written && state) await tellWorkers(tools, sql`st.id = ${state.id}`);
}

interface Stuck {
  workspace_id: string;
  id: string;
  state_id: string;
}

/** The cancelling runs are an index of their own, by the time since when they are. */
export function selectStuck(since: Micros, before: readonly Stuck[] = []) {
  return sql`select workspace_id, id, state_id from ${flow_run} indexed by flow_run_halted
    where state_type in ('PAUSED', 'CANCELLING') and state_type = 'CANCELLING' and state_timestamp <= ${since}
      ${andNoneOf("id", before)}
    order by state_timestamp limit ${AT_ONCE}`;
}

interface TimedOut {
  workspace_id: string;
  id: string;
  state_id: string;
  infrastructure_pid: string | null;
  work_queue_id: string;
  pool_id: string;
  pool_name: string;
  pool_type: string;
}

/** Hands the runs that these states ended by the timeout to the workers of their pools. A message comes once, however often it is sent. */
async function tellWorkers(tools: Tools, states: SQL): Promise<void> {
  const ended = await tools.db.rows<TimedOut>(sql`
    select r.workspace_id, r.id, r.state_id, r.infrastructure_pid, r.work_queue_id,
      p.id as pool_id, p.name as pool_name, p.type as pool_type
    from ${flow_run_state} st
    cross join ${flow_run} r on r.workspace_id = st.workspace_id and r.id = st.flow_run_id
    cross join ${work_queue} q on q.workspace_id = r.workspace_id and q.id = r.work_queue_id
    cross join ${work_pool} p on p.workspace_id = q.workspace_id and p.id = q.work_pool_id
    where ${states} and st.type = 'CANCELLED' and st.message = ${TIMED_OUT} and r.state_id = st.id`);
  await forEachRun(tools, ended, (own, run) =>
    enqueueCleanup(
      own,
      { id: run.pool_id, name: run.pool_name, type: run.pool_type },
      { ...run, cancelled_state_id: run.state_id },
    ),
  );
}

/**
 * The outbox's sweep. A flow run's state is written first and its event sent afterwards; where the process died between
 * the two, the event is made again from what was written. An event has its state's id, so nothing is sent twice.
 */
import { type SQL, sql } from "drizzle-orm";
import { readJson } from "#db/database";
import { deployment } from "#db/tables/deployment";
import { event_segment, sweep_mark } from "#db/tables/event";
import { flow } from "#db/tables/flow";
import { flow_run, flow_run_state } from "#db/tables/flow-run";
import { task_run } from "#db/tables/task-run";
import { work_pool, work_queue } from "#db/tables/work-pool";
import { writeEvents } from "#events/emit";
import { type FactColumns, readFacts } from "#events/facts";
import { type FlowRunFacts, flowRunStateEvent } from "#events/lifecycle";
import { earliestId, timeOfId } from "#events/ordered-ids";
import type { Micros } from "#lib/clock";
import type { Tools } from "#tools";
import { type State, StateType } from "#wire/state";

const MARK = "outbox";
/** How long a change is given to send its event itself. */
const PATIENCE: Micros = 60_000_000;
/** How far back the first sweep looks. */
const FIRST_LOOK: Micros = 3_600_000_000;
/** How many states are looked at in one read, and how many reads one run makes. */
const MAX_STATES = 500;
const MAX_READS = 20;
const HOUR: Micros = 3_600_000_000;
/** How much earlier than a state's id its event's segment may be written, by a clock that is slow. */
const SLOW_CLOCK: Micros = 60_000_000;

/** Sends the events of states that have none, from the mark until a minute ago, and moves the mark. */
export async function sweepOutbox(tools: Tools): Promise<void> {
  const until = earliestId(tools.clock() - PATIENCE);
  let after = await readMark(tools);
  for (let reads = 0; reads < MAX_READS && after < until; reads++) {
    const range = sql`st.id > ${after} and st.id < ${until}`;
    const [last] = await tools.db.rows<{ id: string | null }>(sql`
      select max(id) as id from (select st.id from ${flow_run_state} st where ${range} order by st.id limit ${MAX_STATES})`);
    const end = last?.id ?? until;
    if (last?.id) await sendUnsent(tools, sql`st.id > ${after} and st.id <= ${end}`, after);
    await tools.db.run(sql`insert into ${sweep_mark} (name, mark) values (${MARK}, ${end})
      on conflict (name) do update set mark = max(mark, excluded.mark)`);
    after = end;
  }
}

/** Sends what lies between the mark and now for some runs, before they are deleted with their states. */
export async function sendUnsentOf(tools: Tools, flowRunIds: readonly string[]): Promise<void> {
  const mark = await readMark(tools);
  const ofRuns = sql`st.workspace_id = ${tools.workspaceId} and st.id in (
      select s.value from ${flow_run} r, json_each(r.state_ids) s
      where r.workspace_id = ${tools.workspaceId} and r.id in (select value from json_each(${JSON.stringify(flowRunIds)}))
        and s.value > ${mark})`;
  await sendUnsent(tools, ofRuns, mark);
}

/** Up to this id every state's event is proved to have been sent. */
async function readMark(tools: Tools): Promise<string> {
  const [mark] = await tools.db.rows<{ mark: string }>(sql`select mark from ${sweep_mark} where name = ${MARK}`);
  return mark?.mark ?? earliestId(tools.clock() - FIRST_LOOK);
}

/** The first segment that may yet be asked whether it holds a state's event. Those before it have nothing more to prove. */
export async function firstSegmentAsked(tools: Tools): Promise<string> {
  return firstSegmentAfter(await readMark(tools));
}

const firstSegmentAfter = (mark: string): string => earliestId(timeOfId(mark) - SLOW_CLOCK);

/** Sends what has no event of the states in a range, all of which are younger than `after`. */
async function sendUnsent(tools: Tools, range: SQL, after: string): Promise<void> {
  const rows = await tools.db.rows<UnsentRow>(selectUnsent(range, firstSegmentAfter(after)));
  for (const [workspaceId, ofWorkspace] of Map.groupBy(rows, (row) => row.workspace_id)) {
    await writeEvents(
      { ...tools, workspaceId },
      ofWorkspace.map((row) => flowRunStateEvent(factsOf(row))),
    );
  }
}

type UnsentRow = FactColumns & { workspace_id: string; state: string; initial: string | null };

const stateJson = (alias: string): SQL =>
  sql.raw(`json_object('id', ${alias}.id, 'type', ${alias}.type, 'name', ${alias}.name, 'timestamp', ${alias}.timestamp,
    'message', ${alias}.message, 'state_details', json(${alias}.state_details))`);

/** Prefect: the scheduler writes its runs without orchestration, so their first state has no event. */
const madeBySchedule = sql.raw(`(r.auto_scheduled = 1 and r.state_ids ->> '$[0]' = st.id)`);

/**
 * States in a range of ids whose event is in no segment, with everything their events are made of. Each segment that may
 * hold such an event is looked at once, and says which it holds.
 */
function selectUnsent(range: SQL, firstSegment: string): SQL {
  const hour = sql.raw(`(timestamp - ((timestamp % ${HOUR}) + ${HOUR}) % ${HOUR})`);
  return sql`
    with wanted as materialized (
      select distinct st.workspace_id, ${hour} as hour from ${flow_run_state} st where ${range}
    ),
    sent as materialized (
      select e.value as id from wanted w
      cross join ${event_segment} s on s.workspace_id = w.workspace_id and s.hour = w.hour and s.id >= ${firstSegment}
      cross join json_each(s.run_event_ids) e
    )
    select st.workspace_id, ${stateJson("st")} as state,
      (select ${stateJson("before")} from json_each(r.state_ids) own
        join json_each(r.state_ids) prior on prior.key = own.key - 1
        join ${flow_run_state} before on before.id = prior.value
        where own.value = st.id) as initial,
      r.id as run_id, r.name as run_name, r.tags as run_tags, r.run_count, r.created_by,
      f.id as flow_id, f.name as flow_name, f.tags as flow_tags,
      d.id as deployment_id, d.name as deployment_name, d.tags as deployment_tags,
      q.id as queue_id, q.name as queue_name, p.id as pool_id, p.name as pool_name, p.type as pool_type,
      t.id as task_id, t.name as task_name, t.tags as task_tags
    from ${flow_run_state} st
    join ${flow_run} r on r.workspace_id = st.workspace_id and r.id = st.flow_run_id
    left join ${flow} f on f.workspace_id = r.workspace_id and f.id = r.flow_id
    left join ${deployment} d on d.workspace_id = r.workspace_id and d.id = r.deployment_id
    left join ${work_queue} q on q.workspace_id = r.workspace_id and q.id = r.work_queue_id
    left join ${work_pool} p on p.workspace_id = q.workspace_id and p.id = q.work_pool_id
    left join ${task_run} t on t.workspace_id = r.workspace_id and t.id = r.parent_task_run_id
    where ${range} and not ${madeBySchedule} and st.id not in (select id from sent)
    order by st.id`;
}

function factsOf(row: UnsentRow): FlowRunFacts {
  return readFacts(row, row.initial === null ? null : readState(row.initial), readState(row.state));
}

function readState(json: string): State {
  const state = readJson<Omit<State, "data">>(json);
  return { ...state, type: StateType.parse(state.type), data: null };
}

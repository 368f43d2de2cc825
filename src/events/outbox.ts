/**
 * The outbox's sweep. A flow run's state is written first, and its event is sent afterwards. Where the process died between the
 * two, the sweep makes the event from the written state. An event has its state's id, so no event is stored twice.
 */
import { type SQL, sql } from "drizzle-orm";
import { readJson } from "#db/database";
import { FIRST_STATE_ID, STATE_ID_BEFORE, stateIdsOf } from "#db/state-pages";
import { deployment } from "#db/tables/deployment";
import { event_segment, sweep_mark } from "#db/tables/event";
import { flow } from "#db/tables/flow";
import { flow_run, flow_run_state } from "#db/tables/flow-run";
import { task_run } from "#db/tables/task-run";
import { work_pool, work_queue } from "#db/tables/work-pool";
import { isOutage, keepDeadLetter, reasonOf } from "#events/dead-letters";
import { EventsSetAside, isStreamUp, StreamBusy, writeEvents } from "#events/emit";
import { type FactColumns, readFacts } from "#events/facts";
import { type FlowRunFacts, flowRunStateEvent } from "#events/lifecycle";
import { earliestId, timeOfId } from "#events/ordered-ids";
import { ApiError } from "#lib/api-error";
import type { Micros } from "#lib/clock";
import { inHalves } from "#lib/halving";
import type { Tools } from "#tools";
import { type State, StateType } from "#wire/state";
import { list } from "#db/sql";

const MARK = "outbox";
/** The mark of the range that a sweep has begun: its first id, and how many states it has. */
const BEGUN = "outbox begun";
/** How long a state's request may take to send the event itself. */
const PATIENCE: Micros = 60_000_000;
/** How far back the first sweep begins. */
const FIRST_LOOK: Micros = 3_600_000_000;
/** How many states one read gives, and how many reads one sweep makes. */
const MAX_STATES = 500;
const MAX_READS = 20;
/** How many states without an event are in memory at once: the message in an event may have 100,000 characters. */
const MAX_UNSENT = 50;
const MAX_MESSAGE_CHARACTERS = 100_001;
const HOUR: Micros = 3_600_000_000;
/** How much earlier than the state's id the id of its event's segment may be, where a clock is slow. */
const SLOW_CLOCK: Micros = 60_000_000;

/**
 * Sends the events of states that have none, from the mark until a minute ago, and moves the mark. Where a sweep did not end its
 * range, the next one begins it again with fewer states. A single state that ends the sweep is kept as a dead letter.
 */
export async function sweepOutbox(tools: Tools): Promise<void> {
  const until = earliestId(tools.clock() - PATIENCE);
  let after = await readMark(tools);
  let most = await stepsAfter(tools, after);
  for (let reads = 0; reads < MAX_READS && after < until; reads++) {
    const end = (await lastOf(tools, after, until, Math.max(1, most))) ?? until;
    if (end !== until) await sweepStretch(tools, after, end, most);
    await tools.db.batch([moveMark(end), endStretch()]);
    after = end;
    most = Math.min(MAX_STATES, Math.max(1, 2 * most));
  }
}

/** The last of the next `most` states after a mark; null where there is none. */
async function lastOf(tools: Tools, after: string, until: string, most: number): Promise<string | null> {
  const [last] = await tools.db.rows<{ id: string | null }>(sql`
    select max(id) as id from (select st.id from ${flow_run_state} st where st.id > ${after} and st.id < ${until}
      order by st.id limit ${most})`);
  return last?.id ?? null;
}

async function sweepStretch(tools: Tools, after: string, end: string, most: number): Promise<void> {
  const range = sql`st.id > ${after} and st.id <= ${end}`;
  if (most === 0) return giveUp(tools, range);
  await tools.db.run(beginStretch(after, most));
  try {
    await sendUnsent(tools, range, after);
  } catch (error) {
    // The step has failed and not died, so no state of the range is the cause.
    await tools.db.run(endStretch());
    throw error;
  }
}

/** How many states the next step takes: the most, or an eighth of the step that did not end. None means to give up one state. */
async function stepsAfter(tools: Tools, after: string): Promise<number> {
  const [place, most] = (await readMarkOf(tools, BEGUN))?.split("/") ?? [];
  if (place !== after) return MAX_STATES;
  return Number(most) > 1 ? Math.max(1, Math.floor(Number(most) / 8)) : 0;
}

/** Keeps states as dead letters, and does not read their content. */
async function giveUp(tools: Tools, range: SQL): Promise<void> {
  const rows = await tools.db.rows<{ id: string; workspace_id: string }>(
    sql`select st.id, st.workspace_id from ${flow_run_state} st where ${range}`,
  );
  for (const { id, workspace_id: workspaceId } of rows) {
    const reason = "the sweep did not come to its end with this state";
    await keepDeadLetter({ ...tools, workspaceId }, { queue: "outbox", key: id, reason, message: { state_id: id } });
  }
}

function moveMark(mark: string): SQL {
  return sql`insert into ${sweep_mark} (name, mark) values (${MARK}, ${mark})
    on conflict (name) do update set mark = max(mark, excluded.mark)`;
}

function beginStretch(after: string, most: number): SQL {
  return sql`insert into ${sweep_mark} (name, mark) values (${BEGUN}, ${`${after}/${most}`})
    on conflict (name) do update set mark = excluded.mark`;
}

function endStretch(): SQL {
  return sql`delete from ${sweep_mark} where name = ${BEGUN}`;
}

async function readMarkOf(tools: Tools, name: string): Promise<string | undefined> {
  const [row] = await tools.db.rows<{ mark: string }>(sql`select mark from ${sweep_mark} where name = ${name}`);
  return row?.mark;
}

/** Sends the events of some runs' states between the mark and now. The runs are deleted with their states afterwards. */
export async function sendUnsentOf(tools: Tools, flowRunIds: readonly string[]): Promise<void> {
  const mark = await readMark(tools);
  const ofRuns = sql`st.workspace_id = ${tools.workspaceId} and st.id in (
      select listed.id from ${stateIdsOf(sql`r.workspace_id = ${tools.workspaceId}
        and r.id in ${list(flowRunIds)}`)} listed where listed.id > ${mark})`;
  await sendUnsent(tools, ofRuns, mark);
}

/** The mark: the events of all states up to this id have been sent. */
async function readMark(tools: Tools): Promise<string> {
  return (await readMarkOf(tools, MARK)) ?? earliestId(tools.clock() - FIRST_LOOK);
}

/** The least id of a segment that the sweep may still need, for it may hold the event of a state after the mark. */
export async function firstSegmentAsked(tools: Tools): Promise<string> {
  return firstSegmentAfter(await readMark(tools));
}

const firstSegmentAfter = (mark: string): string => earliestId(timeOfId(mark) - SLOW_CLOCK);

/**
 * Sends the events of the states in a range that have none; all of these states are younger than `after`. A state whose event
 * can never be made or written is kept as a dead letter, so that the sweep reaches the states after it.
 */
async function sendUnsent(tools: Tools, range: SQL, after: string): Promise<void> {
  for (let rest = range, isMore = true; isMore;) {
    const rows = await tools.db.rows<UnsentRow>(selectUnsent(rest, firstSegmentAfter(after)));
    for (const [workspaceId, ofWorkspace] of Map.groupBy(rows, (row) => row.workspace_id)) {
      const own = { ...tools, workspaceId };
      await inHalves(
        ofWorkspace,
        (some) => sendEvents(own, some),
        (row, error) => setAside(own, row, error),
        { isPassing: (error) => isOutage(error) || error instanceof StreamBusy },
      );
    }
    rest = sql`${range} and st.id > ${rows.at(-1)?.id ?? ""}`;
    isMore = rows.length === MAX_UNSENT;
  }
}

/** Sends the event of a state that became a dead letter, unless the event was sent meanwhile. Throws where it still cannot be sent. */
export async function sendEventOf(tools: Tools, stateId: string): Promise<void> {
  const only = sql`st.workspace_id = ${tools.workspaceId} and st.id = ${stateId}`;
  await sendEvents(tools, await tools.db.rows<UnsentRow>(selectUnsent(only, firstSegmentAfter(stateId))));
}

async function sendEvents(tools: Tools, rows: readonly UnsentRow[]): Promise<void> {
  const events = rows.map((row) => flowRunStateEvent(factsOf(row)));
  try {
    await writeEvents(tools, events);
  } catch (error) {
    // The object keeps those events itself.
    if (!(error instanceof EventsSetAside)) throw error;
  }
}

/** Keeps a state whose event failed alone. Where the stream takes no event at all, the fault is not the state's. */
async function setAside(tools: Tools, { id }: UnsentRow, error: unknown): Promise<void> {
  if (error instanceof ApiError && !(await isStreamUp(tools))) throw error;
  await keepDeadLetter(tools, { queue: "outbox", key: id, reason: reasonOf(error), message: { state_id: id } });
}

type UnsentRow = FactColumns & { id: string; workspace_id: string; state: string; initial: string | null };

const stateJson = (alias: string): SQL =>
  sql.raw(`json_object('id', ${alias}.id, 'type', ${alias}.type, 'name', ${alias}.name, 'timestamp', ${alias}.timestamp,
    'message', substr(${alias}.message, 1, ${MAX_MESSAGE_CHARACTERS}), 'state_details', ${alias}.state_details)`);

/** Prefect: the scheduler writes its runs without orchestration, so their first state has no event. */
const madeBySchedule = sql`(r.auto_scheduled = 1 and ${FIRST_STATE_ID} = st.id)`;

/**
 * Selects the states in a range of ids whose event is in no segment, with the facts for their events. Each segment that may
 * hold such an event is read once, by the column with the ids of its events.
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
    select st.id, st.workspace_id, ${stateJson("st")} as state,
      (select ${stateJson("before")} from ${flow_run_state} before where before.id = ${STATE_ID_BEFORE}) as initial,
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
    order by st.id limit ${MAX_UNSENT}`;
}

function factsOf(row: UnsentRow): FlowRunFacts {
  return readFacts(row, row.initial === null ? null : readState(row.initial), readState(row.state));
}

/** Reads the details here and not in the statement: details that nest too deep would fail the statement for all states. */
function readState(json: string): State {
  const state = readJson<Omit<State, "data" | "state_details"> & { state_details: string }>(json);
  const details = readJson<State["state_details"]>(state.state_details);
  return { ...state, type: StateType.parse(state.type), state_details: details, data: null };
}

/**
 * The outbox. A flow run's state is written first, and its event is sent afterwards. If the process ends between these
 * two steps, the event is made again from the written rows. An event has its state's id, so no event is sent twice.
 */
import { type SQL, sql } from "drizzle-orm";
import { readJson } from "#db/database";
import { readDetails } from "#db/short/details";
import { uuidText } from "#db/short/ids";
import { joinsTaskRun } from "#db/task-run-keys";
import { FIRST_STATE_ID, STATE_ID_BEFORE, stateIdsOf } from "#db/state-pages";
import { deployment } from "#db/tables/deployment";
import { event_segment, sweep_mark } from "#db/tables/event";
import { flow } from "#db/tables/flow";
import { flow_run, flow_run_state } from "#db/tables/flow-run";
import { task_run } from "#db/tables/task-run";
import { work_pool, work_queue } from "#db/tables/work-pool";
import { isOutage, keepDeadLetter, reasonOf } from "#events/dead-letters";
import { EventsSetAside, isStreamUp, StreamBusy, writeEvents } from "#events/emit";
import { type FactColumns, flowRunStateEvent, readFacts } from "#events/lifecycle";
import { earliestId, timeOfId, type Micros } from "#lib/clock";
import { HOUR } from "#events/segments";
import { ApiError } from "#lib/api-error";
import { inHalves } from "#lib/halving";
import { inWorkspace, type SweepTools, type Tools } from "#tools";
import { type State, StateType } from "#wire/state";
import { list } from "#db/sql";

/**
 * The outbox's mark. The events of all states up to this id are proved to have been sent. Without a mark, the states of
 * the last hour are not proved.
 */
export const OUTBOX = { name: "outbox", firstAge: HOUR };
/** How many states without an event are in memory at once. A message may have 100,000 characters in an event. */
const MAX_UNSENT = 50;
const MAX_MESSAGE_CHARACTERS = 100_001;
/** With a slow clock, the segment of a state's event may have an earlier id than the state: at most by this time. */
const SLOW_CLOCK: Micros = 60_000_000;

/** Sends the unsent events of some runs after the mark, before these runs are deleted with their states. */
export async function sendUnsentOf(tools: Tools, flowRunIds: readonly string[]): Promise<void> {
  const mark = await readMark(tools);
  const ofRuns = sql`st.workspace_id = ${tools.workspaceId} and st.id in (
      select listed.id from ${stateIdsOf(sql`r.workspace_id = ${tools.workspaceId}
        and r.id in ${list(flowRunIds)}`)} listed where listed.id > ${mark})`;
  await sendUnsent(tools, ofRuns, mark);
}

async function readMark({ db, clock }: SweepTools): Promise<string> {
  const [row] = await db.rows<{ mark: string }>(sql`select mark from ${sweep_mark} where name = ${OUTBOX.name}`);
  return row?.mark ?? earliestId(clock() - OUTBOX.firstAge);
}

/** The first segment that the outbox may still read to find a state's event. */
export async function firstSegmentAsked(tools: SweepTools): Promise<string> {
  return firstSegmentAfter(await readMark(tools));
}

const firstSegmentAfter = (mark: string): string => earliestId(timeOfId(mark) - SLOW_CLOCK);

const NEVER_ENDED = "the sweep did not come to its end with this state";

/** Stores a state as a dead letter without reading the state. */
export async function keepUnsent(tools: Tools, stateId: string, reason = NEVER_ENDED): Promise<void> {
  await keepDeadLetter(tools, { queue: "outbox", key: stateId, reason, message: { state_id: stateId } });
}

/**
 * Sends the unsent events of the states `st` in a range. No state is older than the id `first`. If the event of a state
 * can never be made or written, the state is stored as a dead letter, so that the later states are reached. If the
 * stream of a workspace takes no events now, the events of the other workspaces are sent before the failure is thrown.
 */
export async function sendUnsent(tools: SweepTools, range: SQL, first: string): Promise<void> {
  const failed = new Map<string, unknown>();
  for (let rest = range, isMore = true; isMore;) {
    const rows = await tools.db.rows<UnsentRow>(selectUnsent(rest, firstSegmentAfter(first)));
    for (const [workspaceId, ofWorkspace] of Map.groupBy(rows, (row) => row.workspace_id)) {
      if (failed.has(workspaceId)) continue;
      const sent = sendOrSetAside(inWorkspace(tools, workspaceId), ofWorkspace);
      await sent.catch((error: unknown) => failed.set(workspaceId, error));
    }
    rest = sql`${range} and st.id > ${rows.at(-1)?.id ?? ""}`;
    isMore = rows.length === MAX_UNSENT;
  }
  for (const error of failed.values()) throw error;
}

/** Sends the events of some states. If an event fails because of its own content, its state becomes a dead letter. */
function sendOrSetAside(tools: Tools, rows: readonly UnsentRow[]): Promise<void> {
  return inHalves(
    rows,
    (some) => sendEvents(tools, some),
    (row, error) => setAside(tools, row, error),
    { isPassing: (error) => isOutage(error) || error instanceof StreamBusy },
  );
}

/** Sends the event of a state again after a failure, unless the event was sent meanwhile. Throws if it still cannot be sent. */
export async function sendEventOf(tools: Tools, stateId: string): Promise<void> {
  const only = sql`st.workspace_id = ${tools.workspaceId} and st.id = ${stateId}`;
  await sendEvents(tools, await tools.db.rows<UnsentRow>(selectUnsent(only, firstSegmentAfter(stateId))));
}

async function sendEvents(tools: Tools, rows: readonly UnsentRow[]): Promise<void> {
  const events = rows.map((row) =>
    flowRunStateEvent(readFacts(row, row.initial === null ? null : readState(row.initial), readState(row.state))),
  );
  try {
    await writeEvents(tools, events);
  } catch (error) {
    // The object stores those events itself.
    if (!(error instanceof EventsSetAside)) throw error;
  }
}

/**
 * Stores a state as a dead letter if its event failed because of its own content. If the stream takes no events at all,
 * the state is not the cause.
 */
async function setAside(tools: Tools, { id }: UnsentRow, error: unknown): Promise<void> {
  if (error instanceof ApiError && !(await isStreamUp(tools))) throw error;
  await keepUnsent(tools, id, reasonOf(error));
}

type UnsentRow = FactColumns & { id: string; workspace_id: string; state: string; initial: string | null };

const stateJson = (alias: string): SQL =>
  sql.raw(`json_object('id', ${alias}.id, 'type', ${alias}.type, 'name', ${alias}.name, 'timestamp', ${alias}.timestamp,
    'message', substr(${alias}.message, 1, ${MAX_MESSAGE_CHARACTERS}), 'state_details', ${alias}.state_details)`);

/** Prefect: the scheduler writes its runs without orchestration, so their first state has no event. */
const madeBySchedule = sql`(r.auto_scheduled = 1 and ${FIRST_STATE_ID} = st.id)`;

/** Selects the states in a range of ids that have no event in a segment, with all data for their events. */
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
      ${sql.raw(uuidText("t.id"))} as task_id, t.name as task_name, t.tags as task_tags
    from ${flow_run_state} st
    join ${flow_run} r on r.workspace_id = st.workspace_id and r.id = st.flow_run_id
    left join ${flow} f on f.workspace_id = r.workspace_id and f.id = r.flow_id
    left join ${deployment} d on d.workspace_id = r.workspace_id and d.id = r.deployment_id
    left join ${work_queue} q on q.workspace_id = r.workspace_id and q.id = r.work_queue_id
    left join ${work_pool} p on p.workspace_id = q.workspace_id and p.id = q.work_pool_id
    left join ${task_run} t on ${joinsTaskRun("r.workspace_id", "r.parent_task_run_id", "t")}
    where ${range} and not ${madeBySchedule} and st.id not in (select id from sent)
    order by st.id limit ${MAX_UNSENT}`;
}

/** Parses a state and its details. The database does not parse the details, because details that nest too deep would fail the whole statement. */
function readState(json: string): State {
  const state = readJson<Omit<State, "data" | "state_details"> & { state_details: string }>(json);
  const details = readDetails(readJson(state.state_details), {});
  return { ...state, type: StateType.parse(state.type), state_details: details, data: null };
}

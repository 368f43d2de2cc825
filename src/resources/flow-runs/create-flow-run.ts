/** Creates flow runs for the API, for deployments and for schedules. */
import { type SQL, sql } from "drizzle-orm";
import type { Given } from "#db/codec";
import { concurrency_limit } from "#db/tables/concurrency-limit";
import { deployment } from "#db/tables/deployment";
import { flow } from "#db/tables/flow";
import { flow_run } from "#db/tables/flow-run";
import { task_run } from "#db/tables/task-run";
import { work_pool, work_queue } from "#db/tables/work-pool";
import { emitEvents } from "#events/emit";
import { flowRunStateEvent } from "#events/lifecycle";
import { integrityConflict } from "#lib/api-error";
import type { Micros } from "#lib/clock";
import { randomName } from "#lib/names";
import { flowRunContext } from "#orchestration/context";
import { decideFlowRun } from "#orchestration/decide";
import {
  CONTEXT_COLUMNS,
  type ContextColumns,
  factsOf,
  joinedState,
  type LoadedFlowRun,
} from "#orchestration/load-flow-run";
import { MinimalFlowPolicy } from "#orchestration/policies";
import { storedState } from "#orchestration/predicates";
import { remember } from "#orchestration/recent-runs";
import { releaseSlots } from "#orchestration/secure-slots";
import { insertStates, type ParentUpdate, parentUpdate, stateRow, storedChanges } from "#orchestration/statements";
import { liveRunOf, tellPools } from "#orchestration/tell-pools";
import { type FlowRunRow, flowRuns, FlowRunStore, type FlowRunWithState } from "#db/rows/flow-runs";
import type { TaskRunRow } from "#db/rows/task-runs";
import { writeWithRetry } from "#db/database";
import { print } from "#db/print";
import { shortLabels } from "#db/short/labels";
import { flowPolicyForm } from "#db/short/policy";
import type { Tools } from "#tools";
import { newState, type State, type StateProposal } from "#wire/state";
import { columnLists, each, list } from "#db/sql";
import { areTaskRuns } from "#db/task-run-keys";

/** A flow run to create. An absent field has Prefect's default. */
export interface FlowRunDraft extends Given<typeof flow_run> {
  flow_id: string;
  /** The first state. PENDING by default. */
  state?: StateProposal | null;
}

/** A run that was created, or the run that has the same idempotency key. */
export interface Created {
  run: FlowRunWithState;
  created: boolean;
}

/** Creates one flow run. Throws 409 if its flow is unknown. */
export async function createFlowRun(tools: Tools, draft: FlowRunDraft): Promise<Created> {
  const [created] = await createFlowRuns(tools, [draft]);
  if (!created) throw new Error("a draft became no run");
  return created;
}

/**
 * Creates flow runs in one batch. Takes one round trip, unless a run is a subflow or exists already. The results have
 * the order of the drafts. If a run already has the idempotency key of a draft, that run is the result and does not
 * change. Throws 409 and creates nothing if a flow is unknown.
 */
export async function createFlowRuns(tools: Tools, drafts: readonly FlowRunDraft[]): Promise<Created[]> {
  return (await createIf(tools, drafts, sql`1`)) ?? [];
}

/** Creates one flow run if a condition of SQL holds at the time of the write. Gives undefined if it does not hold. */
export async function createFlowRunIf(tools: Tools, draft: FlowRunDraft, condition: SQL): Promise<Created | undefined> {
  return (await createIf(tools, [draft], condition))?.[0];
}

async function createIf(tools: Tools, drafts: readonly FlowRunDraft[], condition: SQL): Promise<Created[] | undefined> {
  if (drafts.length === 0) return [];
  const parents = await readParents(tools, drafts);
  const newRuns = drafts.map((draft) => newRun(tools, draft, parents));
  const { labels, contexts, holds } = await write(tools, newRuns, condition);
  // A repeated batch may find the runs that an earlier try wrote.
  if (!holds && newRuns.some(({ row }) => !labels.has(row.id))) return undefined;
  if (newRuns.some(({ row }) => (contexts.get(row.id)?.flow_name ?? null) === null)) throw integrityConflict();
  const written = newRuns.flatMap(({ row, state, parent }): WrittenRun[] => {
    const context = contexts.get(row.id);
    const own = labels.get(row.id);
    if (!context || own === undefined) return [];
    return [{ row: { ...row, labels: own, ...joinedState(state), ...context }, state, parentTaskRun: parent }];
  });
  await announce(tools, written);
  const rows = new Map(written.map(({ row }) => [row.id, row]));
  for (const { row, parent, parentChange } of newRuns)
    if (parent && rows.has(row.id)) await releaseSlots(tools, parent.id, parentChange.effects);
  const unwritten = newRuns.filter(({ row }) => !rows.has(row.id));
  const known = unwritten.length === 0 ? [] : await readKnown(tools, unwritten);
  return newRuns.flatMap(({ row: { id, flow_id, idempotency_key } }): Created[] => {
    const row = rows.get(id);
    if (row) return [{ run: { ...row, work_pool_id: row.pool_id, work_pool_name: row.pool_name }, created: true }];
    const run = known.find((one) => one.flow_id === flow_id && one.idempotency_key === idempotency_key);
    return run ? [{ run, created: false }] : [];
  });
}

/** Writes the runs in one batch. Gives the labels of the runs that were created, the contexts of all runs, and whether the condition holds. */
async function write(tools: Tools, newRuns: readonly NewRun[], condition: SQL) {
  const { workspaceId, db } = tools;
  const batch = [
    insertRuns(workspaceId, newRuns, condition),
    insertStates(newRuns.map(({ row, state }) => stateRow(workspaceId, row.id, state))),
    selectContexts(workspaceId, newRuns, condition),
    ...newRuns.flatMap(({ parentChange }) => parentChange.statements),
  ];
  const ids = newRuns.map(({ row }) => row.id);
  const made = sql`select id, labels from ${flow_run} where workspace_id = ${workspaceId} and id in ${list(ids)}`;
  const { written, present } = await writeWithRetry(db, batch, made);
  const created = present ?? written[0]?.rows ?? [];
  const found = written[2]?.rows ?? [];
  return {
    labels: new Map(created.map((row) => [String(row["id"]), String(row["labels"])])),
    contexts: new Map(
      found.map(({ run_id, holds: _holds, ...row }) => [String(run_id), row as unknown as ContextColumns]),
    ),
    holds: found.every(({ holds }) => holds === 1),
  };
}

/** A run that is not written yet, and the change of its parent's task run. */
interface NewRun {
  row: FlowRunRow;
  state: State;
  parent: TaskRunRow | null;
  parentChange: ParentUpdate;
}

/** A run that was written. */
type WrittenRun = LoadedFlowRun & { state: State };

/** Reads the parents' task runs of the runs that are subflows, by id. */
async function readParents(tools: Tools, drafts: readonly FlowRunDraft[]): Promise<Map<string, TaskRunRow>> {
  const ids = drafts.flatMap((draft) => draft.parent_task_run_id ?? []);
  if (ids.length === 0) return new Map();
  const rows = await tools.db.rows<TaskRunRow>(
    sql`select * from ${task_run} where ${areTaskRuns(tools.workspaceId, ids)}`,
  );
  return new Map(rows.map((row) => [row.id, row]));
}

function newRun(tools: Tools, draft: FlowRunDraft, parents: Map<string, TaskRunRow>): NewRun {
  const now = tools.clock();
  const bare = bareRow(tools, draft, now);
  const decision = decideFlowRun(
    MinimalFlowPolicy,
    flowRunContext(tools, bare, { now }),
    newState(draft.state ?? { type: "PENDING" }, now, tools.ids),
  );
  if (!decision.state) throw new Error("a first state was refused");
  const state = storedState(decision.state);
  const row = {
    ...bare,
    ...storedChanges(decision.changes, flowPolicyForm),
    state_id: state.id,
    state_ids: JSON.stringify([state.id]),
  };
  const parent = (draft.parent_task_run_id && parents.get(draft.parent_task_run_id)) || null;
  const parentChange = parentUpdate(tools, row.id, { state, effects: decision.effects }, parent, now);
  return { row, state, parent, parentChange };
}

/**
 * Inserts the runs if all their flows exist and the condition holds. Prefect: `with_system_labels_for_flow_run`. First
 * the labels of the deployment or else of the flow, then the system's, then the client's.
 */
function insertRuns(workspaceId: string, newRuns: readonly NewRun[], condition: SQL): SQL {
  const rows = newRuns.map(({ row }) => row);
  const flowIds = [...new Set(rows.map((row) => row.flow_id))];
  return sql`insert into ${flow_run} (${RUN.columns}) select ${RUN.values} from ${each(rows)} v
    join ${flow} f on f.workspace_id = ${workspaceId} and f.id = v.value ->> '$.flow_id'
    left join ${deployment} d on d.workspace_id = ${workspaceId} and d.id = v.value ->> '$.deployment_id'
    where ${condition} and not exists (select 1 from ${each(flowIds)} wanted
      where not exists (select 1 from ${flow} known where known.workspace_id = ${workspaceId} and known.id = wanted.value))
    on conflict do nothing returning id, labels`;
}

const LABELS = sql.raw(`json_patch(coalesce(d.labels, f.labels), json_patch(
    case when d.id is null then '{}' else json_object('prefect.deployment.id', d.id) end, v.value ->> '$.labels'))`);

const RUN = columnLists(flow_run, {
  labels: print(shortLabels(LABELS, (name) => `(v.value ->> '$.${name}')`)).sql,
});

function selectContexts(workspaceId: string, newRuns: readonly NewRun[], condition: SQL): SQL {
  const rows = newRuns.map(({ row }) => row);
  const keys = rows.map(({ id, flow_id, deployment_id, work_queue_id }) => ({
    id,
    flow_id,
    deployment_id,
    work_queue_id,
  }));
  return sql`select v.value ->> '$.id' as run_id, ${condition} as holds, ${CONTEXT_COLUMNS}
    from ${each(keys)} v
    left join ${flow} f on f.workspace_id = ${workspaceId} and f.id = v.value ->> '$.flow_id'
    left join ${deployment} d on d.workspace_id = ${workspaceId} and d.id = v.value ->> '$.deployment_id'
    left join ${concurrency_limit} c on c.workspace_id = d.workspace_id and c.id = d.concurrency_limit_id
    left join ${work_queue} q on q.workspace_id = ${workspaceId} and q.id = v.value ->> '$.work_queue_id'
    left join ${work_pool} p on p.workspace_id = q.workspace_id and p.id = q.work_pool_id`;
}

function bareRow(tools: Tools, draft: FlowRunDraft, now: Micros): FlowRunRow {
  const { state: _, ...fields } = draft;
  return flowRuns.blank({
    ...fields,
    workspace_id: tools.workspaceId,
    id: tools.ids.random(),
    created: now,
    updated: now,
    name: draft.name || randomName(tools.random),
    tags: [...new Set(draft.tags)],
    // These labels override the labels of flow and deployment when the row is written.
    labels: { "prefect.flow.id": draft.flow_id, ...draft.labels },
    job_variables: draft.job_variables ?? {},
  });
}

/**
 * Emits the events and notifies the objects of the pools. If that fails, the sweep emits the events and the objects
 * repair themselves. Prefect: the scheduler writes its runs without orchestration, so their first state has no event.
 */
async function announce(tools: Tools, written: readonly WrittenRun[]): Promise<void> {
  if (written.length === 0) return;
  for (const run of written) remember(tools.workspaceId, run);
  const orchestrated = written.filter(({ row }) => row.auto_scheduled === 0);
  const events = orchestrated.map((run) => flowRunStateEvent(factsOf(run, null, run.state)));
  tools.background(emitEvents(tools, events));
  await tellPools(
    tools,
    written.flatMap(({ row, state }) => liveRunOf(row, state.type) ?? []),
  );
}

/** The earlier runs with the same flow and idempotency key. */
async function readKnown(tools: Tools, newRuns: readonly NewRun[]): Promise<FlowRunWithState[]> {
  const keys = newRuns.map(({ row }) => ({ flow_id: row.flow_id, key: row.idempotency_key }));
  const rows = await tools.db.rows<{ id: string }>(
    sql`select r.id as id from ${each(keys)} wanted
      join ${flow_run} r on r.workspace_id = ${tools.workspaceId} and r.flow_id = wanted.value ->> '$.flow_id'
        and r.idempotency_key = wanted.value ->> '$.key' and r.idempotency_key is not null`,
  );
  return new FlowRunStore(tools).readMany(rows.map(({ id }) => id));
}

/** New flow runs: from the API, from deployments and from schedules, all by this one way. */
import { sql } from "drizzle-orm";
import { insertRows } from "#db/bulk";
import { readJson } from "#db/database";
import { deployment } from "#db/tables/deployment";
import { flow } from "#db/tables/flow";
import { flow_run } from "#db/tables/flow-run";
import { task_run } from "#db/tables/task-run";
import { work_pool, work_queue } from "#db/tables/work-pool";
import { emitEvents } from "#events/emit";
import type { Event } from "#events/event";
import { flowRunStateEvent } from "#events/lifecycle";
import { integrityConflict } from "#lib/api-error";
import type { Micros } from "#lib/clock";
import { randomName } from "#lib/names";
import { noticeRuns } from "#objects/work-pool/client";
import type { LiveRun } from "#objects/work-pool/live-run";
import { followInParent, insertStates, stateRow, storedChanges } from "#orchestration/commit-flow-run";
import { decideFlowRun } from "#orchestration/decide";
import { columnsOf, factsOf, type LoadedRow, type TaskRunRow } from "#orchestration/loaded";
import { MinimalFlowPolicy } from "#orchestration/policies";
import type { Decision, FlowRunContext, FlowRunPolicy } from "#orchestration/transition";
import { type FlowRunRow, FlowRunStore, type FlowRunWithState } from "#resources/flow-runs/store";
import type { Tools } from "#tools";
import { newState, type State, type StateProposal } from "#wire/state";

/** A flow run that is to be. What is left out has the original's default. */
export interface FlowRunDraft {
  flow_id: string;
  flow_version?: string | null;
  deployment_id?: string | null;
  deployment_version?: string | null;
  name?: string | null;
  parameters?: Record<string, unknown>;
  context?: Record<string, unknown>;
  tags?: string[];
  labels?: Record<string, unknown> | null;
  job_variables?: Record<string, unknown> | null;
  empirical_policy?: FlowRunPolicy;
  idempotency_key?: string | null;
  parent_task_run_id?: string | null;
  work_queue_id?: string | null;
  work_queue_name?: string | null;
  auto_scheduled?: boolean;
  created_by?: { id: string; type: string; display_value: string | null } | null;
  infrastructure_document_id?: string | null;
  /** The first state; PENDING where there is none. */
  state?: StateProposal | null;
}

/** A run that was made, or the one that was there under the same idempotency key. */
export interface Created {
  run: FlowRunWithState;
  created: boolean;
}

/** Creates one flow run. Throws 409 where its flow is unknown. */
export async function createFlowRun(tools: Tools, draft: FlowRunDraft): Promise<Created> {
  const [created] = await createFlowRuns(tools, [draft]);
  if (!created) throw new Error("a draft became no run");
  return created;
}

/** Creates flow runs, all in one batch, in the order of the drafts. Runs whose idempotency key is taken are left as they are. */
export async function createFlowRuns(tools: Tools, drafts: readonly FlowRunDraft[]): Promise<Created[]> {
  if (drafts.length === 0) return [];
  const surroundings = await readSurroundings(tools, drafts);
  const births = drafts.map((draft) => conceive(tools, draft, surroundings));
  const [inserted] = await tools.db.batch([
    insertRows(flow_run, births.map(({ row }) => row), { tail: sql`on conflict do nothing returning id` }),
    insertStates(births.map(({ row, state }) => stateRow(tools.workspaceId, row.id, state))),
    ...births.flatMap(({ row, state, decision, parent }) =>
      followInParent(tools.workspaceId, row.id, state, decision.effects, parent, contextOf(tools, row)),
    ),
  ]);
  const ids = new Set(inserted?.rows.map(({ id }) => String(id)));
  const born = births.filter(({ row }) => ids.has(row.id));
  await announce(tools, born);
  const known = born.length === births.length ? [] : await readKnown(tools, births.filter(({ row }) => !ids.has(row.id)));
  return births.flatMap((birth): Created[] => {
    if (ids.has(birth.row.id)) return [{ run: birth.run, created: true }];
    const run = known.find((one) => one.flow_id === birth.row.flow_id && one.idempotency_key === birth.row.idempotency_key);
    return run ? [{ run, created: false }] : [];
  });
}

interface Surroundings {
  flows: Map<string, { name: string; labels: string }>;
  deployments: Map<string, { name: string; labels: string }>;
  queues: Map<string, { name: string; p_id: string; p_name: string; p_type: string }>;
  parents: Map<string, TaskRunRow>;
}

/** One round trip for everything around the runs. */
async function readSurroundings(tools: Tools, drafts: readonly FlowRunDraft[]): Promise<Surroundings> {
  const { workspaceId, db } = tools;
  const idsOf = (pick: (draft: FlowRunDraft) => string | null | undefined) =>
    JSON.stringify([...new Set(drafts.map(pick).filter((id) => typeof id === "string"))]);
  const [flows, deployments, queues, parents] = await db.readAll([
    sql`select id, name, labels from ${flow}
      where workspace_id = ${workspaceId} and id in (select value from json_each(${idsOf((draft) => draft.flow_id)}))`,
    sql`select id, name, labels from ${deployment}
      where workspace_id = ${workspaceId} and id in (select value from json_each(${idsOf((draft) => draft.deployment_id)}))`,
    sql`select q.id as id, q.name as name, p.id as p_id, p.name as p_name, p.type as p_type
      from ${work_queue} q join ${work_pool} p on p.workspace_id = q.workspace_id and p.id = q.work_pool_id
      where q.workspace_id = ${workspaceId} and q.id in (select value from json_each(${idsOf((draft) => draft.work_queue_id)}))`,
    sql`select * from ${task_run}
      where workspace_id = ${workspaceId} and id in (select value from json_each(${idsOf((draft) => draft.parent_task_run_id)}))`,
  ]);
  const byId = <T>(rows: Record<string, unknown>[] | undefined) => new Map((rows ?? []).map((row) => [String(row["id"]), row as T]));
  return { flows: byId(flows), deployments: byId(deployments), queues: byId(queues), parents: byId(parents) };
}

interface Birth {
  row: FlowRunRow;
  state: State;
  decision: Decision<FlowRunContext>;
  parent: TaskRunRow | null;
  run: FlowRunWithState;
  event: Event;
  live: LiveRun | null;
}

/** Everything about a new run that can be known before it is written. */
function conceive(tools: Tools, draft: FlowRunDraft, around: Surroundings): Birth {
  const parentFlow = around.flows.get(draft.flow_id);
  if (!parentFlow) throw integrityConflict();
  const now = tools.clock();
  const bare = bareRow(tools, draft, labelsOf(draft, around), now);
  const decision = decideFlowRun(MinimalFlowPolicy, contextOf(tools, bare), newState(draft.state ?? { type: "PENDING" }, now, tools.ids));
  const { state } = decision;
  if (!state) throw new Error("a first state was refused");
  const row = { ...bare, ...storedChanges(decision.changes), state_id: state.id, state_ids: JSON.stringify([state.id]) };
  const queue = draft.work_queue_id ? around.queues.get(draft.work_queue_id) : undefined;
  const loaded: LoadedRow = {
    ...row,
    ...NO_STATE,
    f_name: parentFlow.name,
    d_name: (draft.deployment_id && around.deployments.get(draft.deployment_id)?.name) || null,
    d_limit: null,
    d_limit_id: null,
    d_options: null,
    q_name: queue?.name ?? null,
    p_id: queue?.p_id ?? null,
    p_name: queue?.p_name ?? null,
    p_type: queue?.p_type ?? null,
  };
  return {
    row,
    state,
    decision,
    parent: (draft.parent_task_run_id && around.parents.get(draft.parent_task_run_id)) || null,
    run: { ...row, ...joinedState(state), work_pool_id: queue?.p_id ?? null, work_pool_name: queue?.p_name ?? null },
    event: flowRunStateEvent(factsOf(loaded, null, state, row.run_count)),
    live: queue && row.work_queue_id
      ? {
          id: row.id,
          work_pool_id: queue.p_id,
          work_pool_name: queue.p_name,
          work_queue_id: row.work_queue_id,
          state_type: state.type,
          due: row.next_scheduled_start_time,
        }
      : null,
  };
}

/** Prefect: `with_system_labels_for_flow_run`, the labels of flow and deployment, the system's, then the client's. */
function labelsOf(draft: FlowRunDraft, around: Surroundings): Record<string, unknown> {
  const flowLabels = readJson<Record<string, unknown>>(around.flows.get(draft.flow_id)?.labels ?? "{}");
  const parent = draft.deployment_id ? around.deployments.get(draft.deployment_id) : undefined;
  if (!parent) return { ...flowLabels, "prefect.flow.id": draft.flow_id, ...draft.labels };
  return {
    ...readJson<Record<string, unknown>>(parent.labels),
    "prefect.flow.id": draft.flow_id,
    "prefect.deployment.id": draft.deployment_id,
    ...draft.labels,
  };
}

function bareRow(tools: Tools, draft: FlowRunDraft, labels: Record<string, unknown>, now: Micros): FlowRunRow {
  const optionalJson = (value: object | null | undefined) => (value ? JSON.stringify(value) : null);
  return {
    workspace_id: tools.workspaceId,
    id: tools.ids.random(),
    created: now,
    updated: now,
    name: draft.name || randomName(tools.random),
    flow_id: draft.flow_id,
    flow_version: draft.flow_version ?? null,
    deployment_id: draft.deployment_id ?? null,
    deployment_version: draft.deployment_version ?? null,
    work_queue_id: draft.work_queue_id ?? null,
    work_queue_name: draft.work_queue_name ?? null,
    parameters: JSON.stringify(draft.parameters ?? {}),
    idempotency_key: draft.idempotency_key ?? null,
    context: JSON.stringify(draft.context ?? {}),
    empirical_policy: JSON.stringify(draft.empirical_policy ?? {}),
    tags: JSON.stringify([...new Set(draft.tags)]),
    labels: JSON.stringify(labels),
    created_by: optionalJson(draft.created_by),
    parent_task_run_id: draft.parent_task_run_id ?? null,
    auto_scheduled: draft.auto_scheduled ? 1 : 0,
    infrastructure_document_id: draft.infrastructure_document_id ?? null,
    infrastructure_pid: null,
    job_variables: JSON.stringify(draft.job_variables ?? {}),
    state_id: null,
    state_type: null,
    state_name: null,
    state_timestamp: null,
    state_ids: "[]",
    run_count: 0,
    expected_start_time: null,
    next_scheduled_start_time: null,
    start_time: null,
    end_time: null,
    total_run_time: 0,
  };
}

const NO_STATE = { s_id: null, s_type: null, s_name: null, s_timestamp: null, s_message: null, s_data: null, s_details: null };

function joinedState(state: State) {
  return {
    s_id: state.id,
    s_type: state.type,
    s_name: state.name,
    s_timestamp: state.timestamp,
    s_message: state.message,
    s_data: state.data === null ? null : JSON.stringify(state.data),
    s_details: JSON.stringify(state.state_details),
  };
}

function contextOf(tools: Tools, row: FlowRunRow): FlowRunContext {
  const unjoined = { d_name: null, d_limit: null, d_limit_id: null, d_options: null, q_name: null, p_id: null, p_name: null, p_type: null };
  return {
    kind: "flow-run",
    run: columnsOf({ ...row, ...NO_STATE, ...unjoined, f_name: null }),
    initial: null,
    deployment: null,
    takenTimestamps: [],
    now: row.created,
    ids: tools.ids,
    apiVersion: tools.client.apiVersion,
    clientVersion: tools.client.version,
    random: tools.random,
  };
}

/** Makes the events and tells the pools. Both are made up for if they fail: the sweep, the objects' own repair. */
async function announce(tools: Tools, births: readonly Birth[]): Promise<void> {
  if (births.length === 0) return;
  tools.background(emitEvents(tools, births.map(({ event }) => event)));
  const live = births.flatMap((birth) => birth.live ?? []);
  if (live.length === 0) return;
  try {
    await noticeRuns(tools, live);
  } catch (error) {
    console.error("a work pool's object was not told of new runs", error);
  }
}

/** The runs that were there before under the same flow and idempotency key. */
async function readKnown(tools: Tools, births: readonly Birth[]): Promise<FlowRunWithState[]> {
  const keys = births.map(({ row }) => ({ flow_id: row.flow_id, key: row.idempotency_key }));
  const rows = await tools.db.rows<{ id: string }>(
    sql`select r.id as id from json_each(${JSON.stringify(keys)}) wanted
      join ${flow_run} r on r.workspace_id = ${tools.workspaceId} and r.flow_id = wanted.value ->> '$.flow_id'
        and r.idempotency_key = wanted.value ->> '$.key' and r.idempotency_key is not null`,
  );
  return new FlowRunStore(tools.db, tools.workspaceId).readMany(rows.map(({ id }) => id));
}


/** The events for the server's own changes, with the original's texts. Pure. */
import { readJson } from "#db/database";
import { type CreatedBy, createdByForm } from "#db/short/created-by";
import { eventOf, type Named, type Stamp } from "#events/change-event";
import { type Event, RESOURCE_ID, RESOURCE_ROLE, type Resource } from "#events/event";
import type { Micros } from "#lib/clock";
import { printTime } from "#wire/dates";
import type { State } from "#wire/state";

/** A thing with tags. The event names the tags. */
interface Tagged extends Named {
  tags: readonly string[];
}

/** A work pool, as events name it. */
export interface PoolFacts extends Named {
  type: string;
}

/** The facts for the event of a flow run's state change. Times are in microseconds. */
export interface FlowRunFacts {
  flow_run: Tagged & {
    run_count: number;
    created_by: CreatedBy | null;
  };
  flow: Tagged | null;
  deployment: Tagged | null;
  work_queue: Named | null;
  work_pool: PoolFacts | null;
  /** The parent's task run, if this run is a subflow. */
  parent_task_run: Tagged | null;
  initial: State | null;
  validated: State;
}

type RelatedColumn = `${"flow" | "deployment" | "queue" | "pool" | "task"}_${"id" | "name"}`;
type DetailColumn = `${"flow" | "deployment" | "task"}_tags` | "pool_type" | "created_by";

/** A row that joins a flow run with its related things. If the run does not have a thing, all columns of the thing are null. Tags are JSON. */
export type FactColumns = Record<"run_id" | "run_name" | "run_tags", string> &
  Record<RelatedColumn | DetailColumn, string | null> & { run_count: number };

/** Returns the facts of a row, with the run's previous state and its new state. */
export function readFacts(row: FactColumns, initial: State | null, validated: State): FlowRunFacts {
  const pool = named(row.pool_id, row.pool_name);
  return {
    flow_run: {
      id: row.run_id,
      name: row.run_name,
      tags: readJson<string[]>(row.run_tags),
      run_count: row.run_count,
      created_by: row.created_by === null ? null : createdByForm.read(row.created_by),
    },
    flow: tagged(row.flow_id, row.flow_name, row.flow_tags),
    deployment: tagged(row.deployment_id, row.deployment_name, row.deployment_tags),
    work_queue: named(row.queue_id, row.queue_name),
    work_pool: pool && { ...pool, type: row.pool_type ?? "" },
    parent_task_run: tagged(row.task_id, row.task_name, row.task_tags),
    initial,
    validated,
  };
}

function named(id: string | null, name: string | null) {
  return id === null || name === null ? null : { id, name };
}

function tagged(id: string | null, name: string | null, tags: string | null) {
  const thing = named(id, name);
  return thing && { ...thing, tags: readJson<string[]>(tags ?? "[]") };
}

/** Prefect: TRUNCATE_STATE_MESSAGES_AT. */
const MAX_MESSAGE_CHARACTERS = 100_000;
/** Prefect: `_timing_is_tight`; `follows` is only for events that are so close in time that they may arrive in the wrong order. */
const TIGHT: Micros = 5 * 60 * 1_000_000;
/** Prefect: `_get_recent_preceding_work_pool_event_id`. */
const RECENT_POOL_STATUS: Micros = 10 * 60 * 1_000_000;

/** Returns the event `prefect.flow-run.<State name>`. Its id is the state's id, and it follows the event of the previous state. */
export function flowRunStateEvent(facts: FlowRunFacts): Event {
  const { flow_run, initial, validated } = facts;
  const stamp = { id: validated.id, occurred: validated.timestamp };
  return eventOf("flow-run", flow_run, validated.name, stamp, {
    labels: {
      "prefect.run-count": String(flow_run.run_count),
      "prefect.state-message": truncate(validated.message),
      "prefect.state-name": validated.name,
      "prefect.state-timestamp": isoformat(validated.timestamp),
      "prefect.state-type": validated.type,
    },
    related: relatedOf(facts),
    payload: {
      intended: { from: initial?.type ?? null, to: validated.type },
      initial_state: statePayload(initial),
      validated_state: statePayload(validated),
    },
    follows: initial && Math.abs(validated.timestamp - initial.timestamp) < TIGHT ? initial.id : null,
  });
}

function relatedOf(facts: FlowRunFacts): Resource[] {
  const { flow_run, flow, deployment, work_queue, work_pool, parent_task_run } = facts;
  const tags = new Set([flow_run, flow, deployment, parent_task_run].flatMap((thing) => thing?.tags ?? []));
  return [
    ...related("flow", flow),
    ...related("deployment", deployment),
    ...related("work-queue", work_queue),
    ...poolRelated(work_pool),
    ...related("task-run", parent_task_run),
    ...[...tags].toSorted().map((tag) => ({ [RESOURCE_ID]: `prefect.tag.${tag}`, [RESOURCE_ROLE]: "tag" })),
    ...creator(flow_run.created_by),
  ];
}

function related(kind: string, thing: Named | null, role = kind): Resource[] {
  if (!thing) return [];
  return [{ [RESOURCE_ID]: `prefect.${kind}.${thing.id}`, [RESOURCE_ROLE]: role, "prefect.resource.name": thing.name }];
}

/** Prefect: `_provenance_as_related_resources`. */
function creator(by: FlowRunFacts["flow_run"]["created_by"]): Resource[] {
  if (by?.type !== "DEPLOYMENT" && by?.type !== "AUTOMATION") return [];
  return [
    {
      [RESOURCE_ID]: `prefect.${by.type.toLowerCase()}.${by.id}`,
      [RESOURCE_ROLE]: "creator",
      ...(by.display_value && { "prefect.resource.name": by.display_value }),
    },
  ];
}

/** Prefect: `state_payload`, the parts of a state that are text. */
function statePayload(state: State | null): Record<string, string> | null {
  if (!state) return null;
  return {
    type: state.type,
    ...(state.name && { name: state.name }),
    ...(state.message && { message: truncate(state.message) }),
    ...(state.type === "PAUSED" && { pause_reschedule: String(state.state_details.pause_reschedule ?? false) }),
  };
}

/** Prefect: `truncated_to`, a long text without its middle. */
function truncate(text: string | null): string {
  if (!text || text.length <= MAX_MESSAGE_CHARACTERS) return text ?? "";
  const half = MAX_MESSAGE_CHARACTERS / 2;
  const shorter = `${text.slice(0, half)}...${text.length - 2 * half} additional characters...${text.slice(-half)}`;
  return shorter.length < text.length ? shorter : text;
}

/** Prefect: Python's `isoformat()`, with an offset in place of the `Z`. */
function isoformat(time: Micros): string {
  return printTime(time).replace("Z", "+00:00");
}

/** `NOT_READY` → `not-ready`. */
function inKebabCase(status: string): string {
  return status.toLowerCase().replaceAll("_", "-");
}

/** Returns the event `prefect.work-pool.ready` or a similar one. `before` is the pool's previous status event. */
export function workPoolStatusEvent(pool: PoolFacts & { status: string }, stamp: Stamp, before: Stamp | null): Event {
  const isRecent = before !== null && stamp.occurred - before.occurred < RECENT_POOL_STATUS;
  return eventOf("work-pool", pool, inKebabCase(pool.status), stamp, {
    labels: { "prefect.work-pool.type": pool.type },
    follows: isRecent ? before.id : null,
  });
}

/** Returns the event `prefect.work-queue.ready` or a similar one. */
export function workQueueStatusEvent(queue: Named & { status: string }, pool: PoolFacts | null, stamp: Stamp): Event {
  return eventOf("work-queue", queue, inKebabCase(queue.status), stamp, {
    labels: { [RESOURCE_ROLE]: "work-queue" },
    related: poolRelated(pool),
  });
}

/** A deployment with the things that its events name. */
interface DeploymentFacts extends Named {
  flow: Named | null;
  work_queue: Named | null;
  work_pool: PoolFacts | null;
  storage_document_id: string | null;
  infrastructure_document_id: string | null;
  concurrency_limit_id: string | null;
}

/** Returns `prefect.deployment.ready`, `.not-ready`, `.created`, `.deleted`, or `.updated` with its payload. */
export function deploymentEvent(
  facts: DeploymentFacts,
  what: string,
  stamp: Stamp,
  payload: Event["payload"] = {},
): Event {
  return eventOf("deployment", facts, inKebabCase(what), stamp, {
    related: [
      ...related("flow", facts.flow),
      ...related("work-queue", facts.work_queue),
      ...poolRelated(facts.work_pool),
      ...document("block-document", facts.storage_document_id, "storage"),
      ...document("block-document", facts.infrastructure_document_id, "infrastructure"),
      ...document("concurrency-limit", facts.concurrency_limit_id, "concurrency-limit"),
    ],
    payload,
  });
}

function poolRelated(pool: PoolFacts | null): Resource[] {
  return related("work-pool", pool).map((resource) => ({ ...resource, "prefect.work-pool.type": pool?.type ?? "" }));
}

function document(kind: string, id: string | null, role: string): Resource[] {
  return id === null ? [] : [{ [RESOURCE_ID]: `prefect.${kind}.${id}`, [RESOURCE_ROLE]: role }];
}

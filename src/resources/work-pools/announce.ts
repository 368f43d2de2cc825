/** The events of what people do to pools and queues, as the original words them. */
import { readJson } from "#db/database";
import { type Event, RESOURCE_ID, RESOURCE_ROLE, type Resource } from "#events/event";
import { emitEvents } from "#events/emit";
import { workPoolStatusEvent, workQueueStatusEvent } from "#events/lifecycle";
import { sameJson } from "#lib/json-value";
import type { Micros } from "#lib/clock";
import type { WorkPoolRow, WorkQueueRow } from "#resources/work-pools/store";
import type { Tools } from "#tools";
import { printTime } from "#wire/dates";

type PoolFacts = Pick<WorkPoolRow, "id" | "name" | "type" | "default_queue_id" | "storage_configuration">;
type QueueFacts = Pick<WorkQueueRow, "id" | "name">;

/** A field's value before and after. */
export type Updates = Record<string, { from: unknown; to: unknown }>;

/** Emits events after the commit; the reply does not wait for them. */
export function announce(tools: Tools, events: readonly Event[]): void {
  if (events.length > 0) tools.background(emitEvents(tools, events));
}

/** `prefect.work-pool.created` and `.deleted`, which name the default queue; Prefect: `.updated` does not. */
export function poolEvent(
  tools: Tools,
  what: "created" | "deleted" | "updated",
  pool: PoolFacts,
  at: Micros,
  updates: Updates = {},
): Event {
  const [resource = {}] = poolResource(pool);
  return event(
    tools,
    `prefect.work-pool.${what}`,
    resource,
    what === "updated" ? [] : parts(pool),
    at,
    what === "updated" ? updates : null,
  );
}

/** `prefect.work-queue.created`, `.deleted` and `.updated`. */
export function queueEvent(
  tools: Tools,
  what: "created" | "deleted" | "updated",
  queue: QueueFacts,
  pool: Pick<PoolFacts, "id" | "name" | "type">,
  at: Micros,
  updates: Updates = {},
): Event {
  const resource = {
    [RESOURCE_ID]: `prefect.work-queue.${queue.id}`,
    "prefect.resource.name": queue.name,
    [RESOURCE_ROLE]: "work-queue",
  };
  return event(
    tools,
    `prefect.work-queue.${what}`,
    resource,
    poolResource(pool),
    at,
    what === "updated" ? updates : null,
  );
}

/** A pool's status was set by a change. `stamp` is kept in its row. */
export function poolStatusEvent(pool: WorkPoolRow, status: string, stamp: { id: string; occurred: Micros }): Event {
  const { last_status_event_id: id, last_transitioned_status_at: occurred } = pool;
  return workPoolStatusEvent({ ...pool, status }, stamp, id === null || occurred === null ? null : { id, occurred });
}

/** A queue's status was set by a change. */
export function queueStatusEvent(
  tools: Tools,
  queue: QueueFacts,
  pool: Pick<PoolFacts, "id" | "name" | "type">,
  status: string,
  at: Micros,
): Event {
  return workQueueStatusEvent({ ...queue, status }, pool, { id: tools.ids.ordered(at), occurred: at });
}

/** The fields that were changed to something else. */
export function updatesOf(
  fields: readonly string[],
  before: Record<string, unknown>,
  after: Record<string, unknown>,
): Updates {
  const changed = fields.filter((field) => field in after && !sameJson(after[field] ?? null, before[field] ?? null));
  return Object.fromEntries(changed.map((field) => [field, { from: before[field], to: after[field] }]));
}

function event(
  tools: Tools,
  name: string,
  resource: Resource,
  related: Resource[],
  at: Micros,
  updates: Updates | null,
): Event {
  return {
    occurred: printTime(at),
    event: name,
    resource,
    related,
    payload: updates === null ? {} : { updated_fields: Object.keys(updates), updates },
    id: tools.ids.ordered(at),
    follows: null,
  };
}

function poolResource(pool: Pick<PoolFacts, "id" | "name" | "type">): Resource[] {
  return [
    {
      [RESOURCE_ID]: `prefect.work-pool.${pool.id}`,
      "prefect.resource.name": pool.name,
      "prefect.work-pool.type": pool.type,
      [RESOURCE_ROLE]: "work-pool",
    },
  ];
}

function parts(pool: PoolFacts): Resource[] {
  const block = readJson<{ default_result_storage_block_id?: string | null }>(
    pool.storage_configuration,
  ).default_result_storage_block_id;
  return [
    ...(pool.default_queue_id
      ? [{ [RESOURCE_ID]: `prefect.work-queue.${pool.default_queue_id}`, [RESOURCE_ROLE]: "default-queue" }]
      : []),
    ...(block ? [{ [RESOURCE_ID]: `prefect.block-document.${block}`, [RESOURCE_ROLE]: "result-storage" }] : []),
  ];
}

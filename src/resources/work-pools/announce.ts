/** The events of changes that requests make to pools and queues, as Prefect writes them. */
import { readJson } from "#db/database";
import { type Action, changeEvent, resourceOf } from "#events/change-event";
import { emitEvents } from "#events/emit";
import { type Event, RESOURCE_ID, RESOURCE_ROLE, type Resource } from "#events/event";
import { type PoolFacts, workPoolStatusEvent } from "#events/lifecycle";
import type { Micros } from "#lib/clock";
import { sameJson } from "#lib/json-value";
import type { WorkPoolRow, WorkQueueRow } from "#resources/work-pools/store";
import type { Tools } from "#tools";

/** The values of changed fields, before and after. */
type Updates = Record<string, { from: unknown; to: unknown }>;

/** Emits events after the commit. The reply does not wait for them. */
export function announce(tools: Tools, events: readonly Event[]): void {
  tools.background(emitEvents(tools, events));
}

/** `prefect.work-pool.created`, `.deleted` and `.updated`. Only `.updated` has `updates`. */
export function poolEvent(tools: Tools, action: Action, pool: WorkPoolRow, at: Micros, updates?: Updates): Event {
  const labels = labelsOf(pool);
  // Prefect: the event of an update does not name the default queue.
  const related = action === "updated" ? [] : parts(pool);
  return changeEvent(tools, "work-pool", action, pool, { labels, related, payload: payloadOf(updates), at });
}

/** `prefect.work-queue.created`, `.deleted` and `.updated`. Only `.updated` has `updates`. */
export function queueEvent(
  tools: Tools,
  action: Action,
  queue: Pick<WorkQueueRow, "id" | "name">,
  pool: PoolFacts,
  at: Micros,
  updates?: Updates,
): Event {
  const labels = { [RESOURCE_ROLE]: "work-queue" };
  const related = [resourceOf("work-pool", pool, labelsOf(pool))];
  return changeEvent(tools, "work-queue", action, queue, { labels, related, payload: payloadOf(updates), at });
}

/** The event of a status that a request gave to a pool. The pool's row stores the `stamp`. */
export function poolStatusEvent(pool: WorkPoolRow, status: string, stamp: { id: string; occurred: Micros }): Event {
  const { last_status_event_id: id, last_transitioned_status_at: occurred } = pool;
  return workPoolStatusEvent({ ...pool, status }, stamp, id === null || occurred === null ? null : { id, occurred });
}

/** The fields with changed values, or undefined if no value changed. */
export function updatesOf(
  fields: readonly string[],
  before: Record<string, unknown>,
  after: Record<string, unknown>,
): Updates | undefined {
  const changed = fields.filter((field) => field in after && !sameJson(after[field] ?? null, before[field] ?? null));
  if (changed.length === 0) return undefined;
  return Object.fromEntries(changed.map((field) => [field, { from: before[field], to: after[field] }]));
}

const payloadOf = (updates: Updates | undefined) => updates && { updated_fields: Object.keys(updates), updates };

const labelsOf = ({ type }: PoolFacts): Resource => ({ "prefect.work-pool.type": type, [RESOURCE_ROLE]: "work-pool" });

/** The default queue of a pool, and the block with the results of its runs. */
function parts({ default_queue_id: queue, storage_configuration }: WorkPoolRow): Resource[] {
  const { default_result_storage_block_id: block } = readJson<{ default_result_storage_block_id?: string | null }>(
    storage_configuration,
  );
  return [
    ...(queue ? [{ [RESOURCE_ID]: `prefect.work-queue.${queue}`, [RESOURCE_ROLE]: "default-queue" }] : []),
    ...(block ? [{ [RESOURCE_ID]: `prefect.block-document.${block}`, [RESOURCE_ROLE]: "result-storage" }] : []),
  ];
}

/** Creates, changes and removes limits. Each change writes D1, then notifies the object, then emits an event. */
import type { NamedKey } from "#db/named-store";
import { newColumns } from "#db/workspace-store";
import { type LimitRow, limits } from "#db/rows/concurrency-limits";
import { type Action, changeEvent } from "#events/change-event";
import { emitEvents } from "#events/emit";
import { integrityConflict } from "#lib/api-error";
import { limitChanged, limitsRemoved } from "#objects/concurrency-limits/client";
import type { ConcurrencyLimitV2Create, ConcurrencyLimitV2Update } from "#resources/concurrency-limits-v2/schema";
import { ConcurrencyLimitStore } from "#resources/concurrency-limits-v2/store";
import type { Tools } from "#tools";

const storeOf = (tools: Tools) => new ConcurrencyLimitStore(tools);

/** Creates a limit. */
export async function createLimit(tools: Tools, body: ConcurrencyLimitV2Create): Promise<LimitRow> {
  const row = newRow(tools, body);
  await storeOf(tools).insert(row);
  await limitChanged(tools, {
    id: row.id,
    ...(body.active_slots > 0 && { active_slots: body.active_slots }),
    ...(body.denied_slots > 0 && { denied_slots: body.denied_slots }),
  });
  announce(tools, "created", row);
  return row;
}

/** Creates a limit of this name, or changes the number of slots of the limit of this name. */
export async function upsertLimit(tools: Tools, name: string, limit: number) {
  const draft = newRow(tools, { name, limit, active: true, slot_decay_per_second: 0 });
  const row = (await storeOf(tools).upsert(draft)) ?? draft;
  const created = row.id === draft.id;
  await limitChanged(tools, { id: row.id });
  announce(tools, created ? "created" : "updated", row);
  return { row, created };
}

/** Changes a limit. Gives whether there was such a limit. */
export async function updateLimit(tools: Tools, key: NamedKey, body: ConcurrencyLimitV2Update): Promise<boolean> {
  // Prefect: a field that is null goes to the database, which refuses the row.
  if (Object.values(body).includes(null)) {
    if (await storeOf(tools).read(key)) throw integrityConflict();
    return false;
  }
  const row = await storeOf(tools).update(key, { ...limits.changes(body, OF_SLOTS), updated: tools.clock() });
  if (!row) return false;
  await limitChanged(tools, {
    id: row.id,
    active_slots: body.active_slots ?? undefined,
    denied_slots: body.denied_slots ?? undefined,
  });
  announce(tools, "updated", row);
  return true;
}

/** Removes a limit with its slots and leases. Gives whether there was such a limit. */
export async function removeLimit(tools: Tools, key: NamedKey): Promise<boolean> {
  const row = await storeOf(tools).remove(key);
  if (!row) return false;
  await limitsRemoved(tools, [row.id]);
  announce(tools, "deleted", row);
  return true;
}

/** The fields of a body that are stored in the object and not in D1. */
const OF_SLOTS = ["active_slots", "denied_slots"] as const;

function newRow(tools: Tools, definition: Omit<ConcurrencyLimitV2Create, "active_slots" | "denied_slots">): LimitRow {
  return limits.blank({ ...definition, ...newColumns(tools) });
}

/** Emits the event of a change after the reply. */
function announce(tools: Tools, action: Action, row: LimitRow): void {
  const { name, limit, active, slot_decay_per_second } = limits.print(row);
  const payload = { name, limit, active, slot_decay_per_second };
  const event = changeEvent(tools, "concurrency-limit", action, row, { payload });
  tools.background(emitEvents(tools, [event]));
}

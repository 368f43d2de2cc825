/** Limits are made, changed and removed: in D1 first, then the object is told, and an event says so. */
import type * as z from "zod";
import { emitEvents } from "#events/emit";
import type { Event } from "#events/event";
import { limits } from "#db/rows/concurrency-limits";
import { integrityConflict } from "#lib/api-error";
import { limitChanged, limitsRemoved } from "#objects/concurrency-limits/client";
import type { ConcurrencyLimitV2Create, ConcurrencyLimitV2Update } from "#resources/concurrency-limits-v2/schema";
import { ConcurrencyLimitStore, type LimitKey, type LimitRow } from "#resources/concurrency-limits-v2/store";
import type { Tools } from "#tools";
import { printTime } from "#wire/dates";

const storeOf = (tools: Tools) => new ConcurrencyLimitStore(tools);

/** Makes a limit. */
export async function createLimit(tools: Tools, body: z.output<typeof ConcurrencyLimitV2Create>): Promise<LimitRow> {
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

/** Makes a limit with this name, or changes how many slots the one of this name has. */
export async function upsertLimit(
  tools: Tools,
  name: string,
  limit: number,
): Promise<{ row: LimitRow; created: boolean }> {
  const draft = newRow(tools, { name, limit, active: true, slot_decay_per_second: 0 });
  const row = (await storeOf(tools).upsert(draft)) ?? draft;
  const created = row.id === draft.id;
  await limitChanged(tools, { id: row.id });
  announce(tools, created ? "created" : "updated", row);
  return { row, created };
}

/** Changes a limit; whether there was one. */
export async function updateLimit(tools: Tools, key: LimitKey, body: ConcurrencyLimitV2Update): Promise<boolean> {
  // Prefect: what is null goes to the database, which refuses it.
  if (Object.values(body).includes(null)) {
    if (await storeOf(tools).read(key)) throw integrityConflict();
    return false;
  }
  const row = await storeOf(tools).update(key, limits.changes(body, OF_SLOTS), tools.clock());
  if (!row) return false;
  await limitChanged(tools, {
    id: row.id,
    active_slots: body.active_slots ?? undefined,
    denied_slots: body.denied_slots ?? undefined,
  });
  announce(tools, "updated", row);
  return true;
}

/** Removes a limit and all that is held of it; whether there was one. */
export async function removeLimit(tools: Tools, key: LimitKey): Promise<boolean> {
  const row = await storeOf(tools).remove(key);
  if (!row) return false;
  await limitsRemoved(tools, [row.id]);
  announce(tools, "deleted", row);
  return true;
}

/** Fields of bodies that the object is told, not D1. */
const OF_SLOTS = ["active_slots", "denied_slots"] as const;

interface Definition {
  name: string;
  limit: number;
  active: boolean;
  slot_decay_per_second: number;
}

function newRow(tools: Tools, definition: Definition): LimitRow {
  const now = tools.clock();
  return limits.blank({
    ...definition,
    workspace_id: tools.workspaceId,
    id: tools.ids.random(),
    created: now,
    updated: now,
  });
}

function announce(tools: Tools, action: "created" | "updated" | "deleted", row: LimitRow): void {
  tools.background(emitEvents(tools, [limitEvent(tools, action, row)]));
}

function limitEvent(tools: Tools, action: string, row: LimitRow): Event {
  const now = tools.clock();
  return {
    occurred: printTime(now),
    event: `prefect.concurrency-limit.${action}`,
    resource: { "prefect.resource.id": `prefect.concurrency-limit.${row.id}`, "prefect.resource.name": row.name },
    related: [],
    payload: {
      name: row.name,
      limit: row.limit,
      active: row.active === 1,
      slot_decay_per_second: row.slot_decay_per_second,
    },
    id: tools.ids.ordered(now),
    follows: null,
  };
}

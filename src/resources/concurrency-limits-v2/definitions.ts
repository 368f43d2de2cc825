/** Limits are made, changed and removed: in D1 first, then the object is told, and an event says so. */
import type { z } from "zod";
import { emitEvents } from "#events/emit";
import type { Event } from "#events/event";
import { integrityConflict } from "#lib/api-error";
import { limitChanged, limitsRemoved } from "#objects/concurrency-limits/client";
import type { ConcurrencyLimitV2Create, ConcurrencyLimitV2Update } from "#resources/concurrency-limits-v2/schema";
import {
  ConcurrencyLimitStore,
  type LimitChanges,
  type LimitKey,
  type LimitRow,
} from "#resources/concurrency-limits-v2/store";
import type { Tools } from "#tools";
import { printTime } from "#wire/dates";

/** Prefect: `avg_slot_occupancy_seconds` of a new limit. */
const FIRST_OCCUPANCY_SECONDS = 2;

const storeOf = (tools: Tools) => new ConcurrencyLimitStore(tools.db, tools.workspaceId);

/** Makes a limit. */
export async function createLimit(tools: Tools, body: z.output<typeof ConcurrencyLimitV2Create>): Promise<LimitRow> {
  const row = newRow(tools, { ...body, active: body.active ? 1 : 0 });
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
  const draft = newRow(tools, { name, limit, active: 1, slot_decay_per_second: 0 });
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
  const row = await storeOf(tools).update(key, changesOf(body), tools.clock());
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

function newRow(tools: Tools, fields: Pick<LimitRow, "name" | "limit" | "active" | "slot_decay_per_second">): LimitRow {
  const now = tools.clock();
  return {
    workspace_id: tools.workspaceId,
    id: tools.ids.random(),
    created: now,
    updated: now,
    name: fields.name,
    limit: fields.limit,
    active: fields.active,
    slot_decay_per_second: fields.slot_decay_per_second,
    avg_slot_occupancy_seconds: FIRST_OCCUPANCY_SECONDS,
  };
}

function changesOf(body: ConcurrencyLimitV2Update): LimitChanges {
  return {
    ...(typeof body.name === "string" && { name: body.name }),
    ...(typeof body.limit === "number" && { limit: body.limit }),
    ...(typeof body.active === "boolean" && { active: body.active ? 1 : 0 }),
    ...(typeof body.slot_decay_per_second === "number" && { slot_decay_per_second: body.slot_decay_per_second }),
  };
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

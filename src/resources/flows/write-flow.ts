/** Flows are created and changed. */
import type * as z from "zod";
import { emitEvents } from "#events/emit";
import { notFound } from "#lib/api-error";
import { flowEvent } from "#resources/flows/events";
import type { FlowCreate, FlowUpdate } from "#resources/flows/schema";
import { type FlowRow, flows, FlowStore } from "#resources/flows/store";
import type { Tools } from "#tools";

/** Creates the flow unless its name is taken; the flow of that name is left as it is. */
export async function createFlow(
  tools: Tools,
  draft: z.output<typeof FlowCreate>,
): Promise<{ row: FlowRow; created: boolean }> {
  const now = tools.clock();
  const id = tools.ids.random();
  const keys = { workspace_id: tools.workspaceId, id, created: now, updated: now };
  const wanted = flows.blank({ ...draft, ...keys, tags: [...new Set(draft.tags)] });
  const row = await new FlowStore(tools.db, tools.workspaceId).upsert(wanted);
  const created = row.id === id;
  if (created) tools.background(emitEvents(tools, [flowEvent(tools, "created", row)]));
  return { row, created };
}

/** Changes what the body names. Throws 404 for an unknown flow. */
export async function updateFlow(tools: Tools, id: string, body: z.output<typeof FlowUpdate>): Promise<void> {
  const changes = flows.changes({ updated: tools.clock(), tags: body.tags && [...new Set(body.tags)] });
  const row = await new FlowStore(tools.db, tools.workspaceId).update(id, changes);
  if (!row) throw notFound("Flow");
  tools.background(emitEvents(tools, [flowEvent(tools, "updated", row)]));
}

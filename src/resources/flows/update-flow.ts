/** A flow is changed. */
import type * as z from "zod";
import { emitEvents } from "#events/emit";
import { notFound } from "#lib/api-error";
import { flowEvent } from "#resources/flows/events";
import type { FlowUpdate } from "#resources/flows/schema";
import { FlowStore } from "#resources/flows/store";
import type { Tools } from "#tools";

/** Changes what the body names. Throws 404 for an unknown flow. */
export async function updateFlow(tools: Tools, id: string, body: z.output<typeof FlowUpdate>): Promise<void> {
  const tags = body.tags && JSON.stringify([...new Set(body.tags)]);
  const row = await new FlowStore(tools.db, tools.workspaceId).update(id, tags, tools.clock());
  if (!row) throw notFound("Flow");
  tools.background(emitEvents(tools, [flowEvent(tools, "updated", row)]));
}

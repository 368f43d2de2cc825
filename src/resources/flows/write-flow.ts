/**
 * Creates, changes and deletes flows. A flow is deleted with its runs and deployments. The rows of its runs are deleted
 * in batches, and the flow last. A second deletion of the flow completes an interrupted deletion.
 */
import type * as z from "zod";
import { sql } from "drizzle-orm";
import { newColumns } from "#db/workspace-store";
import { deployment, deployment_schedule, deployment_version } from "#db/tables/deployment";
import { flow } from "#db/tables/flow";
import { flow_run } from "#db/tables/flow-run";
import { type Action, changeEvent } from "#events/change-event";
import { emitEvents } from "#events/emit";
import { notFound, unavailable } from "#lib/api-error";
import { deleteFlowRuns } from "#resources/flow-runs/delete-flow-run";
import type { FlowCreate, FlowUpdate } from "#resources/flows/schema";
import { type FlowRow, flows, FlowStore } from "#resources/flows/store";
import type { Tools } from "#tools";

const RUNS_AT_ONCE = 500;
/** How many times the runs of a flow are deleted while other requests create more runs. */
const MAX_ROUNDS = 10;

/** Creates the flow unless its name is taken. A flow with that name does not change. */
export async function createFlow(tools: Tools, draft: z.output<typeof FlowCreate>) {
  const wanted = flows.blank({ ...draft, ...newColumns(tools), tags: [...new Set(draft.tags)] });
  const row = await new FlowStore(tools).upsert(wanted);
  const created = row.id === wanted.id;
  if (created) announce(tools, "created", row);
  return { row, created };
}

/** Changes the fields that the body has. Throws 404 for an unknown flow. */
export async function updateFlow(tools: Tools, id: string, body: z.output<typeof FlowUpdate>): Promise<void> {
  const changes = flows.changes({ updated: tools.clock(), tags: body.tags && [...new Set(body.tags)] });
  const row = await new FlowStore(tools).update({ id }, changes);
  if (!row) throw notFound("Flow");
  announce(tools, "updated", row);
}

/** Deletes one flow. Throws 404 for an unknown flow. */
export async function deleteFlow(tools: Tools, id: string): Promise<void> {
  const row = await new FlowStore(tools).read({ id });
  if (!row) throw notFound("Flow");
  await deleteFlows(tools, [row]);
}

/** Deletes flows one after the other. Gives the ids of the flows. */
export async function deleteFlows(tools: Tools, rows: readonly FlowRow[]): Promise<string[]> {
  for (const row of rows) {
    await deleteWhole(tools, row);
    announce(tools, "deleted", row);
  }
  return rows.map(({ id }) => id);
}

/** Emits the event of a change after the reply. */
function announce(tools: Tools, action: Action, row: FlowRow): void {
  const { name, tags, labels } = flows.print(row);
  const event = changeEvent(tools, "flow", action, row, { payload: { name, tags, labels } });
  tools.background(emitEvents(tools, [event]));
}

/** Deletes the runs and the flow. Repeats if a run was created meanwhile. Throws 503 after too many rounds. */
async function deleteWhole(tools: Tools, row: FlowRow): Promise<void> {
  for (let round = 1; round <= MAX_ROUNDS; round++) {
    await deleteRunsOf(tools, row.id);
    if (await removeBare(tools, row.id)) return;
  }
  throw unavailable("The flow goes on getting runs while it is deleted", 1);
}

/** Deletes the runs of a flow. No index gives the runs of a flow, so the query scans all runs by their primary key. */
async function deleteRunsOf(tools: Tools, flowId: string): Promise<void> {
  for (let after = ""; ;) {
    const found = await tools.db.rows<{ id: string }>(
      sql`select id from ${flow_run} where workspace_id = ${tools.workspaceId} and id > ${after} and +flow_id = ${flowId}
        order by id limit ${RUNS_AT_ONCE}`,
    );
    const last = found.at(-1);
    if (!last) return;
    await deleteFlowRuns(
      tools,
      found.map(({ id }) => id),
    );
    after = last.id;
  }
}

/** Deletes a flow that has no runs, and its deployments. Gives false if the flow still has a run. */
async function removeBare(tools: Tools, flowId: string): Promise<boolean> {
  const { workspaceId, db } = tools;
  const isBare = sql`not exists (select 1 from ${flow_run} r where r.workspace_id = ${workspaceId} and +r.flow_id = ${flowId})`;
  const isGone = sql`not exists (select 1 from ${flow} f where f.workspace_id = ${workspaceId} and f.id = ${flowId})`;
  const written = await db.batch([
    sql`delete from ${flow} where workspace_id = ${workspaceId} and id = ${flowId} and ${isBare}`,
    ...[deployment_schedule, deployment_version].map(
      (table) => sql`delete from ${table} where workspace_id = ${workspaceId} and ${isGone} and deployment_id in
        (select id from ${deployment} where workspace_id = ${workspaceId} and flow_id = ${flowId})`,
    ),
    sql`delete from ${deployment} where workspace_id = ${workspaceId} and flow_id = ${flowId} and ${isGone}`,
    sql`select 1 from ${flow} where workspace_id = ${workspaceId} and id = ${flowId}`,
  ]);
  return written.at(-1)?.rows.length === 0;
}

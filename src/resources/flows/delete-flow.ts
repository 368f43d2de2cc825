/**
 * A flow is deleted with all that belongs to it: runs with theirs, deployments with their schedules. In batches, the flow
 * last, so that whatever is cut short is finished by deleting the flow once more.
 */
import { sql } from "drizzle-orm";
import { deployment, deployment_schedule } from "#db/tables/deployment";
import { deployment_version } from "#db/tables/deployment-version";
import { flow } from "#db/tables/flow";
import { flow_run } from "#db/tables/flow-run";
import { emitEvents } from "#events/emit";
import { notFound, unavailable } from "#lib/api-error";
import { deleteFlowRuns } from "#resources/flow-runs/delete-flow-run";
import { flowEvent } from "#resources/flows/events";
import { type FlowRow, FlowStore } from "#resources/flows/store";
import type { Tools } from "#tools";

const RUNS_AT_ONCE = 500;
/** How often a flow is gone through that goes on getting runs. */
const MAX_ROUNDS = 10;

/** Deletes one flow. Throws 404 for an unknown one. */
export async function deleteFlow(tools: Tools, id: string): Promise<void> {
  const row = await new FlowStore(tools.db, tools.workspaceId).read({ id });
  if (!row) throw notFound("Flow");
  await deleteFlows(tools, [row]);
}

/** Deletes flows one after the other; gives their ids. */
export async function deleteFlows(tools: Tools, rows: readonly FlowRow[]): Promise<string[]> {
  for (const row of rows) {
    await empty(tools, row);
    tools.background(emitEvents(tools, [flowEvent(tools, "deleted", row)]));
  }
  return rows.map(({ id }) => id);
}

/** A run may be made while others are removed: the flow goes only when none is left, else all begins again. */
async function empty(tools: Tools, row: FlowRow): Promise<void> {
  for (let round = 1; round <= MAX_ROUNDS; round++) {
    await deleteRunsOf(tools, row.id);
    if (await removeBare(tools, row.id)) return;
  }
  throw unavailable("The flow goes on getting runs while it is deleted", 1);
}

/** No index leads from a flow to its runs, so they are walked by their key, once. */
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

/** Removes a flow that has no runs, and its deployments; false if there still is a run. */
async function removeBare(tools: Tools, flowId: string): Promise<boolean> {
  const { workspaceId, db } = tools;
  const isBare = sql`not exists (select 1 from ${flow_run} r where r.workspace_id = ${workspaceId} and +r.flow_id = ${flowId})`;
  const isGone = sql`not exists (select 1 from ${flow} f where f.workspace_id = ${workspaceId} and f.id = ${flowId})`;
  const [, , , , left] = await db.batch([
    sql`delete from ${flow} where workspace_id = ${workspaceId} and id = ${flowId} and ${isBare}`,
    sql`delete from ${deployment_schedule} where workspace_id = ${workspaceId} and ${isGone} and deployment_id in
      (select id from ${deployment} where workspace_id = ${workspaceId} and flow_id = ${flowId})`,
    sql`delete from ${deployment_version} where workspace_id = ${workspaceId} and ${isGone} and deployment_id in
      (select id from ${deployment} where workspace_id = ${workspaceId} and flow_id = ${flowId})`,
    sql`delete from ${deployment} where workspace_id = ${workspaceId} and flow_id = ${flowId} and ${isGone}`,
    sql`select 1 from ${flow} where workspace_id = ${workspaceId} and id = ${flowId}`,
  ]);
  return left?.rows.length === 0;
}

/** Deletes deployments with what belongs to them. */
import { sql } from "drizzle-orm";
import { flow_run } from "#db/tables/flow-run";
import { emitEvents } from "#events/emit";
import { sendUnsentOf } from "#events/outbox";
import { limitsRemoved } from "#objects/concurrency-limits/client";
import { deploymentEvent } from "#resources/deployments/events";
import { forgetRuns, removeWaitingRuns, selectWaitingRuns } from "#resources/deployments/future-runs";
import { type DeploymentRow, DeploymentStore } from "#resources/deployments/store";
import type { Tools } from "#tools";

/** How many runs forget their deployment in one statement. */
const RUNS_AT_ONCE = 2000;

/** Where `DeploymentStore.remove` says which limits there were. */
const LIMITS_REMOVAL = 2;

/** Deletes the deployments that are there, with their schedules, limits and waiting runs. Returns their ids. */
export async function deleteDeployments(tools: Tools, rows: readonly DeploymentRow[]): Promise<string[]> {
  const store = new DeploymentStore(tools.db, tools.workspaceId);
  const now = tools.clock();
  const ids = rows.map(({ id }) => id);
  if (ids.length === 0) return [];
  const waiting = await tools.db.readAll(ids.map((id) => selectWaitingRuns(tools.workspaceId, id, now)));
  // With the states their events would be lost.
  await sendUnsentOf(
    tools,
    waiting.flat().map(({ id }) => String(id)),
  );
  const removals = rows.map((row) => ({ row, statements: removeWaitingRuns(tools.workspaceId, row.id, now) }));
  const written = await tools.db.batch([
    ...removals.flatMap(({ statements }) => statements),
    ...store.remove(ids),
    ...ids.map((id) => releaseRuns(tools, id)),
  ]);
  let at = 0;
  for (const { row, statements } of removals)
    await forgetRuns(tools, row, written.slice(at, (at += statements.length)));
  const idsIn = (index: number) => (written[index]?.rows ?? []).map(({ id }) => String(id));
  const gone = new Set(idsIn(at));
  await limitsRemoved(tools, idsIn(at + LIMITS_REMOVAL));
  const deleted = rows.filter(({ id }) => gone.has(id));
  tools.background(
    emitEvents(
      tools,
      deleted.map((row) => deploymentEvent(tools, "deleted", row)),
    ),
  );
  tools.background(releaseTheRest(tools, ids));
  return deleted.map(({ id }) => id);
}

/** Prefect: the runs that stay name no deployment any more. */
function releaseRuns(tools: Tools, deploymentId: string) {
  return sql`update ${flow_run} set deployment_id = null where ${flow_run.workspace_id} = ${tools.workspaceId} and ${flow_run.id} in
    (select r.id from ${flow_run} r where r.workspace_id = ${tools.workspaceId} and r.deployment_id = ${deploymentId} limit ${RUNS_AT_ONCE})`;
}

async function releaseTheRest(tools: Tools, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    for (let changes = RUNS_AT_ONCE; changes >= RUNS_AT_ONCE;)
      ({ changes } = await tools.db.run(releaseRuns(tools, id)));
  }
}

/** Deletes deployments with their schedules, limits, versions and waiting runs. */
import type { Statement, Written } from "#db/database";
import { emitEvents } from "#events/emit";
import { sendUnsentOf } from "#events/outbox";
import { limitsRemoved } from "#objects/concurrency-limits/client";
import { forgetDeployment } from "#orchestration/recent-runs";
import { deploymentEvent } from "#resources/deployments/events";
import { forgetRuns, removeRunsById, selectWaitingRuns } from "#resources/deployments/future-runs";
import { type DeploymentRow, DeploymentStore } from "#resources/deployments/store";
import type { Tools } from "#tools";

/** How many waiting runs are removed at once, of all the deployments; the others follow. */
const RUNS_AT_ONCE = 500;

/** Where `DeploymentStore.remove` says which limits there were. */
const LIMITS_REMOVAL = 2;

/**
 * Deletes the deployments that are there, with their schedules, limits and waiting runs. Returns their ids. A run that has
 * begun keeps the id of its deployment: its history is found by it, and a worker that is offered the run cancels it with
 * that reason. The deployments go in the first batch: a waiting run that is left by a process that dies ends the same way.
 */
export async function deleteDeployments(tools: Tools, rows: readonly DeploymentRow[]): Promise<string[]> {
  const ids = rows.map(({ id }) => id);
  if (ids.length === 0) return [];
  let waiting = await readWaiting(tools, rows);
  const written = await removeRuns(tools, waiting, new DeploymentStore(tools).remove(ids));
  for (const id of ids) forgetDeployment(tools.workspaceId, id);
  const idsIn = (index: number) => (written[index]?.rows ?? []).map(({ id }) => String(id));
  const gone = new Set(idsIn(0));
  await limitsRemoved(tools, idsIn(LIMITS_REMOVAL));
  const deleted = rows.filter(({ id }) => gone.has(id));
  const events = deleted.map((row) => deploymentEvent(tools, "deleted", row));
  tools.background(emitEvents(tools, events));
  while (waiting.length > 0) {
    const left = waiting.map(({ row }) => row);
    waiting = await readWaiting(tools, left);
    await removeRuns(tools, waiting);
  }
  return deleted.map(({ id }) => id);
}

/** Runs of a deployment that have not begun. */
interface Waiting {
  row: DeploymentRow;
  ids: string[];
}

/** Reads some of the runs that wait, and sends their unsent events: these are made of the states, which are removed. */
async function readWaiting(tools: Tools, rows: readonly DeploymentRow[]): Promise<Waiting[]> {
  const now = tools.clock();
  const most = Math.ceil(RUNS_AT_ONCE / rows.length);
  const found = await tools.db.readAll(rows.map(({ id }) => selectWaitingRuns(tools.workspaceId, id, now, most)));
  const all = rows.map((row, index) => ({ row, ids: (found[index] ?? []).map(({ id }) => String(id)) }));
  const waiting = all.filter(({ ids }) => ids.length > 0);
  const runIds = waiting.flatMap(({ ids }) => ids);
  if (runIds.length > 0) await sendUnsentOf(tools, runIds);
  return waiting;
}

/** Removes the runs in one batch, after the statements `before`, and tells the work pools. Gives what the batch has done. */
async function removeRuns(
  tools: Tools,
  waiting: readonly Waiting[],
  before: readonly Statement[] = [],
): Promise<Written[]> {
  const removals = waiting.map(({ row, ids }) => ({ row, statements: removeRunsById(tools.workspaceId, ids) }));
  const written = await tools.db.batch([...before, ...removals.flatMap(({ statements }) => statements)]);
  const done = written.slice(before.length);
  for (const { row, statements } of removals) await forgetRuns(tools, row, done.splice(0, statements.length));
  return written;
}

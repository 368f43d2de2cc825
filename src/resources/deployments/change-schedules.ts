/** Schedules of a deployment by themselves: read, added, changed, removed; and the deployment paused and resumed. */
import { conflict, notFound, refused } from "#lib/api-error";
import type { Statement } from "#db/database";
import { announce } from "#resources/deployments/create-deployment";
import { forgetRuns, removeAutoRuns } from "#resources/deployments/future-runs";
import { materialise } from "#resources/deployments/materialise";
import { changesOf } from "#resources/deployments/merge-schedules";
import { checkParameters } from "#resources/deployments/required-parameters";
import type { DeploymentScheduleCreate, DeploymentScheduleUpdate } from "#resources/deployments/schema";
import { checkAll, scheduleRows } from "#resources/deployments/schedules";
import { type DeploymentRow, DeploymentStore, type ScheduleRow, schedulesOf } from "#resources/deployments/store";
import type { Tools } from "#tools";

const storeOf = (tools: Tools) => new DeploymentStore(tools.db, tools.workspaceId);

/** A deployment's schedules, last changed first. */
export async function readSchedules(tools: Tools, id: string): Promise<ScheduleRow[]> {
  return schedulesOf(await readWithDot(tools, id));
}

/** Adds schedules and makes them into runs. Prefect leaves the runs of the others as they are. */
export async function addSchedules(
  tools: Tools,
  id: string,
  wishes: readonly DeploymentScheduleCreate[],
): Promise<ScheduleRow[]> {
  const before = await readWithDot(tools, id);
  if (wishes.length === 0) return [];
  const rows = scheduleRows(tools, id, wishes, { isPaused: before.paused === 1 });
  checkAll([...schedulesOf(before), ...rows], schedulesOf(before));
  checkParameters(before, rows);
  const store = storeOf(tools);
  try {
    const after = await lastRow(tools, [store.insertSchedules(id, rows), store.select({ id })]);
    if (after) await materialise(tools, [after], new Set(rows.map((row) => row.id)));
  } catch (error) {
    if (error instanceof Error && error.message.includes("UNIQUE constraint failed")) {
      throw conflict("Schedule slugs must be unique within a deployment.");
    }
    throw error;
  }
  return rows;
}

/** Changes a schedule; the runs that schedules have made are made anew. */
export async function updateSchedule(
  tools: Tools,
  id: string,
  scheduleId: string,
  wish: DeploymentScheduleUpdate,
): Promise<void> {
  const changes = changesOf(tools, wish);
  const before = await readWithSchedule(tools, id, scheduleId);
  const after = schedulesOf(before).map((row) => (row.id === scheduleId ? { ...row, ...changes } : row));
  checkAll(after, schedulesOf(before));
  checkParameters(
    before,
    after.filter((row) => row.id === scheduleId),
  );
  await restart(tools, before, [storeOf(tools).updateSchedule(id, scheduleId, changes)], "future");
}

/** Removes a schedule; with it go runs that schedules have made, the late ones too. */
export async function removeSchedule(tools: Tools, id: string, scheduleId: string): Promise<void> {
  const before = await readWithSchedule(tools, id, scheduleId);
  await restart(tools, before, [storeOf(tools).removeSchedules(id, scheduleId)], "all");
}

async function readWithSchedule(tools: Tools, id: string, scheduleId: string): Promise<DeploymentRow> {
  const row = await readWithDot(tools, id);
  if (!schedulesOf(row).some((schedule) => schedule.id === scheduleId)) throw refused(404, "Schedule not found.");
  return row;
}

/** Pauses a deployment or lets it go on. Prefect: pausing takes back what its schedules have made, the late runs too. */
export async function setPaused(tools: Tools, id: string, paused: boolean): Promise<void> {
  const store = storeOf(tools);
  const before = await store.read({ id });
  if (!before) throw notFound("Deployment");
  if ((before.paused === 1) === paused) return;
  if (!paused) checkParameters(before, schedulesOf(before));
  const after = await restart(
    tools,
    before,
    [store.update(id, { paused: paused ? 1 : 0, updated: tools.clock() })],
    paused ? "all" : "future",
  );
  if (after) await announce(tools, before, after);
}

/** Makes a change to what runs come from: takes back those made before it, and makes those that are due after it. */
async function restart(
  tools: Tools,
  before: DeploymentRow,
  changes: Statement[],
  which: "future" | "all",
): Promise<DeploymentRow | undefined> {
  const { id } = before;
  const store = storeOf(tools);
  const now = tools.clock();
  const removal = removeAutoRuns(tools.workspaceId, id, now, which);
  const written = await tools.db.batch([...removal, ...changes, store.callForTopUp(id, now), store.select({ id })]);
  await forgetRuns(tools, before, written.slice(0, removal.length));
  const after = written.at(-1)?.rows[0] as DeploymentRow | undefined; // a row of the store's own select
  if (after) await materialise(tools, [after]);
  return after;
}

async function lastRow(tools: Tools, statements: Statement[]): Promise<DeploymentRow | undefined> {
  return (await tools.db.batch(statements)).at(-1)?.rows[0] as DeploymentRow | undefined; // a row of the store's own select
}

async function readWithDot(tools: Tools, id: string): Promise<DeploymentRow> {
  const row = await storeOf(tools).read({ id });
  if (!row) throw refused(404, "Deployment not found.");
  return row;
}

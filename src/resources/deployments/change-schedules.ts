/** Adds, changes and removes the schedules of a deployment. Pauses and resumes a deployment. */
import type { ScheduleRow } from "#db/rows/deployments";
import { conflict, refused } from "#lib/api-error";
import { announce, commit } from "#resources/deployments/commit-change";
import { materialise } from "#resources/deployments/materialise";
import { readDeployment } from "#resources/deployments/read-deployment";
import type { DeploymentScheduleCreate, DeploymentScheduleUpdate } from "#resources/deployments/schema";
import { changesOf, checkAll, checkParameters, scheduleRows } from "#resources/deployments/schedules";
import { DeploymentStore, schedulesOf } from "#resources/deployments/store";
import { isTaken } from "#resources/work-pools/pools";
import type { Tools } from "#tools";

/** Adds schedules and creates their runs. Prefect leaves the runs of other schedules as they are. */
export async function addSchedules(
  tools: Tools,
  id: string,
  wishes: readonly DeploymentScheduleCreate[],
): Promise<ScheduleRow[]> {
  const before = await readDeployment(tools, { id }, "Deployment not found.");
  if (wishes.length === 0) return [];
  const rows = scheduleRows(tools, id, wishes, { isPaused: before.paused === 1 });
  checkAll([...schedulesOf(before), ...rows], schedulesOf(before));
  checkParameters(before, rows);
  const store = new DeploymentStore(tools);
  try {
    const { row: after } = await store.commit(id, store.insertSchedules(id, rows));
    if (after) await materialise(tools, [after], new Set(rows.map((row) => row.id)));
  } catch (error) {
    if (isTaken(error)) throw conflict("Schedule slugs must be unique within a deployment.");
    throw error;
  }
  return rows;
}

/** Changes a schedule, and creates the runs of all schedules anew. */
export async function updateSchedule(
  tools: Tools,
  id: string,
  scheduleId: string,
  wish: DeploymentScheduleUpdate,
): Promise<void> {
  const changes = changesOf(tools, wish);
  const { before, schedule } = await readWithSchedule(tools, id, scheduleId);
  const present = schedulesOf(before);
  const changed = { ...schedule, ...changes };
  checkAll([...present.filter((row) => row.id !== scheduleId), changed], present);
  checkParameters(before, [changed]);
  const statements = [new DeploymentStore(tools).updateSchedule(id, scheduleId, changes)];
  await commit(tools, before, { statements, removes: "future", now: tools.clock() });
}

/** Removes a schedule, and the runs of all schedules, also late runs. Creates the runs of the other schedules anew. */
export async function removeSchedule(tools: Tools, id: string, scheduleId: string): Promise<void> {
  const { before } = await readWithSchedule(tools, id, scheduleId);
  const statements = [new DeploymentStore(tools).removeSchedules(id, scheduleId)];
  await commit(tools, before, { statements, removes: "all", now: tools.clock() });
}

async function readWithSchedule(tools: Tools, id: string, scheduleId: string) {
  const before = await readDeployment(tools, { id }, "Deployment not found.");
  const schedule = schedulesOf(before).find((row) => row.id === scheduleId);
  if (!schedule) throw refused(404, "Schedule not found.");
  return { before, schedule };
}

/** Pauses or resumes a deployment. Prefect: a pause removes the runs of the schedules, also late runs. */
export async function setPaused(tools: Tools, id: string, paused: boolean): Promise<void> {
  const before = await readDeployment(tools, { id });
  if ((before.paused === 1) === paused) return;
  if (!paused) checkParameters(before, schedulesOf(before));
  const now = tools.clock();
  const statements = [new DeploymentStore(tools).update(id, { paused: paused ? 1 : 0, updated: now })];
  const after = await commit(tools, before, { statements, removes: paused ? "all" : "future", now });
  if (after) await announce(tools, before, after);
}

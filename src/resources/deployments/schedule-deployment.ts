/** `POST /deployments/{id}/schedule`: makes the runs of a window, which may lie in the past. */
import { readJson } from "#db/database";
import { SECOND } from "#lib/clock";
import { momentsWithin } from "#lib/schedules/dates";
import { draftsOf, horizonFrom, makeRuns } from "#resources/deployments/materialise";
import { missingParameters } from "#resources/deployments/required-parameters";
import type { ScheduleWindow } from "#resources/deployments/schema";
import { DeploymentStore, schedulesOf } from "#resources/deployments/store";
import type { Tools } from "#tools";
import { type Schedule, scheduleMoments } from "#wire/schedule";

/** Makes runs of all active schedules, even of a paused deployment. Prefect: an unknown deployment has no schedules. */
export async function scheduleDeployment(tools: Tools, id: string, asked: ScheduleWindow): Promise<void> {
  const row = await new DeploymentStore(tools.db, tools.workspaceId).read({ id });
  if (!row) return;
  const start = asked.start_time ?? tools.clock();
  const usual = horizonFrom(tools, start);
  const window = {
    end: asked.end_time ?? usual.end,
    until: typeof asked.min_time === "number" ? start + asked.min_time * SECOND : usual.until,
    minRuns: asked.min_runs ?? usual.minRuns,
    maxRuns: asked.max_runs ?? usual.maxRuns,
  };
  const drafts = schedulesOf(row)
    .filter((schedule) => schedule.active === 1 && missingParameters(row, schedule).length === 0)
    .flatMap((schedule) => {
      const search = { seed: schedule.id, looks: usual.looks.forOneSearch() };
      const moments = scheduleMoments(readJson<Schedule>(schedule.schedule), start, search);
      return draftsOf(row, schedule, momentsWithin(moments, window));
    });
  await makeRuns(tools, drafts);
}

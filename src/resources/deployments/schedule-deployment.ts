/** `POST /deployments/{id}/schedule`: makes the runs of a window, which may lie in the past. */
import { momentsWithin } from "#lib/schedules/dates";
import { Looks } from "#lib/schedules/looks";
import { readJson } from "#db/database";
import type { Micros } from "#lib/clock";
import { draftsOf, horizonFrom, makeRuns, MOST_LOOKS } from "#resources/deployments/materialise";
import { missingParameters } from "#resources/deployments/required-parameters";
import { DeploymentStore, schedulesOf } from "#resources/deployments/store";
import type { Tools } from "#tools";
import { type Schedule, scheduleMoments } from "#wire/schedule";

/** What a caller may say about the window; times in microseconds. */
export interface ScheduleWindow {
  start_time?: Micros | null | undefined;
  end_time?: Micros | null | undefined;
  /** In seconds. */
  min_time?: number | null | undefined;
  min_runs?: number | null | undefined;
  max_runs?: number | null | undefined;
}

/** Makes runs of all active schedules, even of a paused deployment. Prefect: of an unknown one too, which are none. */
export async function scheduleDeployment(tools: Tools, id: string, asked: ScheduleWindow): Promise<void> {
  const row = await new DeploymentStore(tools.db, tools.workspaceId).read({ id });
  if (!row) return;
  const start = asked.start_time ?? tools.clock();
  const usual = horizonFrom(tools, start);
  const window = {
    end: asked.end_time ?? usual.end,
    until: typeof asked.min_time === "number" ? start + asked.min_time * 1_000_000 : usual.until,
    minRuns: asked.min_runs ?? usual.minRuns,
    maxRuns: asked.max_runs ?? usual.maxRuns,
  };
  const looks = new Looks(MOST_LOOKS);
  const drafts = schedulesOf(row)
    .filter((schedule) => schedule.active === 1 && missingParameters(row, schedule).length === 0)
    .flatMap((schedule) =>
      draftsOf(
        row,
        schedule,
        momentsWithin(
          scheduleMoments(readJson<Schedule>(schedule.schedule), start, {
            seed: schedule.id,
            looks: looks.forOneSearch(),
          }),
          window,
        ),
      ),
    );
  await makeRuns(tools, drafts);
}

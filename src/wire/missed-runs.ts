/** What is done with runs of a schedule that no worker started in time. Prefect 3 has no such policy. */
import * as z from "zod";
import { plain } from "#wire/scalars";

/** The shortest time after which a run is missed: workers poll at intervals. */
export const LEAST_WINDOW_SECONDS = 60;
const DEFAULT_WINDOW_SECONDS = 300;
const MOST_WINDOW_SECONDS = 30 * 86_400;

/** The policy of a schedule, in its bodies and by `/deployments/{id}/schedules/{schedule_id}/missed_runs`. */
export const MissedRuns = z
  .strictObject({
    /** Which missed runs are run: `all` as in Prefect, only the `latest`, or none. */
    policy: z.enum(["all", "latest", "skip"]),
    /** A run is missed when it has not started so long after it was due. */
    window_seconds: plain(z.int().min(LEAST_WINDOW_SECONDS).max(MOST_WINDOW_SECONDS)).default(DEFAULT_WINDOW_SECONDS),
  })
  .meta({ id: "MissedRuns" });
export type MissedRuns = z.output<typeof MissedRuns>;

/** The policy of a schedule without a policy. */
export const DEFAULT_MISSED_RUNS: MissedRuns = { policy: "all", window_seconds: DEFAULT_WINDOW_SECONDS };

/** The policy as the schedule's column has it: null where all missed runs are run. */
export function missedRunsColumn(wish: MissedRuns | null | undefined): string | null {
  return !wish || wish.policy === "all" ? null : JSON.stringify(wish);
}

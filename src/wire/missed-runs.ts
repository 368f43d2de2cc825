/** What becomes of a schedule's runs that nobody began in time; ours alone, Prefect 3 has nothing like it. */
import { z } from "zod";
import { plain } from "#wire/scalars";

/** Below this a run is not missed: workers ask only every so often. */
export const LEAST_WINDOW_SECONDS = 60;
const DEFAULT_WINDOW_SECONDS = 300;
const MOST_WINDOW_SECONDS = 30 * 86_400;

/** The policy of a schedule, in its bodies and by `/deployments/{id}/schedules/{schedule_id}/missed_runs`. */
export const MissedRuns = z
  .strictObject({
    /** `all` are run, however late, as in Prefect; or of several only the `latest`; or none, they are skipped. */
    policy: z.enum(["all", "latest", "skip"]),
    /** A run that was not begun so long after it was due is missed. */
    window_seconds: plain(z.int().min(LEAST_WINDOW_SECONDS).max(MOST_WINDOW_SECONDS)).default(DEFAULT_WINDOW_SECONDS),
  })
  .meta({ id: "MissedRuns" });
export type MissedRuns = z.output<typeof MissedRuns>;

/** What holds for a schedule that says nothing. */
export const DEFAULT_MISSED_RUNS: MissedRuns = { policy: "all", window_seconds: DEFAULT_WINDOW_SECONDS };

/** The policy as a schedule's column keeps it: null where all are run. */
export function missedRunsColumn(wish: MissedRuns | null | undefined): string | null {
  return !wish || wish.policy === "all" ? null : JSON.stringify(wish);
}

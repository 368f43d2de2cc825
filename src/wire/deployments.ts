/** Parts of deployments for tables, sweeps and routes: versions, missed runs, and runs that stop or start twice. */
import { namedStrictObject } from "#wire/named";
import * as z from "zod";
import { parseJson } from "#lib/json";
import { plain } from "#wire/scalars";
import { isSized, ShortText } from "#wire/sizes";

/** The version of the code that a client deploys: a commit, an image or a name. Unknown fields are kept. */
export const VersionInfo = z
  .looseObject({ type: ShortText, version: ShortText })
  .refine(isSized, "version_info is too large")
  .meta({ id: "VersionInfo" });
export type VersionInfo = z.output<typeof VersionInfo>;

/** The shortest time after which a run is missed. It is not shorter, because workers poll at intervals. */
export const LEAST_WINDOW_SECONDS = 60;
const DEFAULT_WINDOW_SECONDS = 300;
const MOST_WINDOW_SECONDS = 30 * 86_400;

/** What is done with runs of a schedule that no worker started in time. Prefect 3 has no such policy. */
export const MissedRuns = namedStrictObject("MissedRuns", {
  /** Which missed runs are run: `all` as in Prefect, only the `latest`, or none. */
  policy: z.enum(["all", "latest", "skip"]),
  /** A run is missed if it has not started this many seconds after it was due. */
  window_seconds: plain(z.int().min(LEAST_WINDOW_SECONDS).max(MOST_WINDOW_SECONDS)).default(DEFAULT_WINDOW_SECONDS),
});
export type MissedRuns = z.output<typeof MissedRuns>;

/** The policy of a schedule without a policy. */
export const DEFAULT_MISSED_RUNS: MissedRuns = { policy: "all", window_seconds: DEFAULT_WINDOW_SECONDS };

/** The value of the schedule's column for a policy: null if all missed runs are run. */
export function missedRunsColumn(wish: MissedRuns | null | undefined): string | null {
  return !wish || wish.policy === "all" ? null : JSON.stringify(wish);
}

/** Settings of a deployment for its runs that stop responding or start twice. Prefect 3 has no such settings. */
export const Reliability = namedStrictObject("DeploymentReliability", {
  /** Refuses to start a run a second time while it is running (Prefect 1: version locking). */
  exactly_once: z.boolean(),
  /** Marks a run Crashed if its heartbeats stop. */
  zombie_detection: z.boolean(),
  /** Schedules a run anew if it stays Pending without a sign of life. */
  lazarus: z.boolean(),
});
export type Reliability = z.output<typeof Reliability>;

/** The settings of a deployment without settings. */
export const DEFAULT_RELIABILITY: Reliability = { exactly_once: false, zombie_detection: true, lazarus: true };

/** Changes of the settings. */
export const ReliabilityUpdate = Reliability.partial().meta({ id: "DeploymentReliabilityUpdate" });

/** The settings in a deployment's column. A setting that is absent or unreadable has its default. */
export function readReliability(column: string | null): Reliability {
  if (column === null) return DEFAULT_RELIABILITY;
  try {
    return { ...DEFAULT_RELIABILITY, ...ReliabilityUpdate.safeParse(parseJson(column)).data };
  } catch {
    // An old row may have a value out of bounds.
    return DEFAULT_RELIABILITY;
  }
}

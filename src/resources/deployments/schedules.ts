/** Schedules of a deployment as rows. */
import { readJson } from "#db/database";
import { schedules } from "#db/rows/deployments";
import type { ScheduleRow } from "#resources/deployments/store";
import {
  type DeploymentScheduleCreate,
  type DeploymentScheduleUpdate,
  MOST_SCHEDULES,
} from "#resources/deployments/schema";
import { unprocessable } from "#lib/api-error";
import { byteLength } from "#lib/bytes";
import type { Tools } from "#tools";
import { missedRunsColumn } from "#wire/deployments";
import { isSameSchedule, type Schedule, settleSchedule } from "#wire/schedule";

/** A schedule that is to be created, as bodies have it. `replaces` is not stored. */
type ScheduleWish = Omit<DeploymentScheduleCreate, "replaces" | "active"> & {
  active?: boolean | null | undefined;
};

/** What else a deployment has once the new schedules are written. */
interface Around {
  isPaused: boolean;
  /** The schedules that the new ones replace. */
  before?: readonly ScheduleRow[];
}

/**
 * Throws 422 where a deployment would have too many schedules, or too large ones. Schedules that were beyond the bound
 * `before`, which older releases allowed, may be changed as long as they do not grow.
 */
export function checkAll(schedules: readonly Written[], before: readonly Written[] = []): void {
  if (schedules.length > Math.max(MOST_SCHEDULES, before.length))
    throw unprocessable(`A deployment has at most ${MOST_SCHEDULES} schedules, not ${schedules.length}.`);
  const bytes = bytesOf(schedules);
  if (bytes > MAX_SCHEDULES_BYTES && bytes > bytesOf(before))
    throw unprocessable(
      `The schedules of a deployment have at most ${MAX_SCHEDULES_BYTES} bytes as JSON, not ${bytes}.`,
    );
}

type Written = Pick<ScheduleRow, "schedule" | "parameters">;

const bytesOf = (schedules: readonly Written[]) =>
  schedules.reduce((sum, one) => sum + byteLength(one.schedule) + byteLength(one.parameters), 0);

/** The bytes of all schedules of a deployment, which D1 reads as one value of at most 2 MB. Each schedule is quoted once more in it. */
const MAX_SCHEDULES_BYTES = 800_000;

/** Gives the rows of new schedules. Each is a little younger than the one before it: lists show the youngest first. Throws 422. */
export function scheduleRows(
  tools: Tools,
  deploymentId: string,
  wishes: readonly ScheduleWish[],
  { isPaused, before = [] }: Around,
): ScheduleRow[] {
  const areActive = activeOf(wishes, before);
  const rows = wishes.map((wish, index) => {
    const now = tools.clock();
    const isActive = areActive[index] ?? true;
    const { missed_runs: missedRuns, ...fields } = wish;
    const row = schedules.blank({
      ...fields,
      workspace_id: tools.workspaceId,
      deployment_id: deploymentId,
      id: tools.ids.random(),
      created: now,
      updated: now,
      schedule: settleSchedule(wish.schedule, now),
      active: isActive,
      scheduled_until: now,
      top_up_at: isActive && !isPaused ? now : null,
    });
    return { ...row, missed_runs: missedRuns === undefined ? keptPolicy(wish, before) : missedRunsColumn(missedRuns) };
  });
  checkAll(rows);
  return rows;
}

/** The schedule that a wish would create; none where the wish has no schedule. Prefect: `max_scheduled_runs` is lost on this way. */
export function asNew({ schedule, parameters = {}, ...rest }: DeploymentScheduleUpdate): ScheduleWish[] {
  return schedule ? [{ ...rest, parameters, schedule, max_scheduled_runs: null }] : [];
}

/**
 * Whether each schedule is active. Stock clients replace all schedules when they deploy, and do not say whether they are active:
 * a schedule that was paused stays paused under its slug or, where it has none, as long as its content is the same.
 */
function activeOf(wishes: readonly ScheduleWish[], before: readonly ScheduleRow[]): boolean[] {
  const left = before.map((row) => ({ row, schedule: readJson<Schedule>(row.schedule) }));
  const take = ({ slug, schedule }: ScheduleWish, options: { withAnchor: boolean }): ScheduleRow | undefined => {
    const index = left.findIndex(({ row, schedule: kept }) =>
      slug ? row.slug === slug : row.slug === null && isSameSchedule(schedule, kept, options),
    );
    return index < 0 ? undefined : left.splice(index, 1)[0]?.row;
  };
  const exact = wishes.map((wish) => take(wish, { withAnchor: true }));
  return wishes.map((wish, index) => {
    const row = exact[index] ?? take(wish, { withAnchor: false });
    return wish.active ?? row?.active !== 0;
  });
}

/** Stock clients do not know the policy, and replace all schedules when they deploy: the policy stays with the slug. */
function keptPolicy({ slug }: ScheduleWish, before: readonly ScheduleRow[]): string | null {
  return (slug && before.find((row) => row.slug === slug)?.missed_runs) || null;
}

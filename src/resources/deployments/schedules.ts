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
import { missedRunsColumn } from "#wire/missed-runs";
import { isSameSchedule, type Schedule, settleSchedule } from "#wire/schedule";

/** A schedule to be, as bodies have it; `replaces` is a word to the server and not kept. */
type ScheduleWish = Omit<DeploymentScheduleCreate, "replaces" | "active"> & {
  active?: boolean | null | undefined;
};

/** The deployment as it is, or is to be. */
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

/** Of all schedules of a deployment together, which are read as one value; D1 takes 2 MB, and each is quoted in it once more. */
const MAX_SCHEDULES_BYTES = 800_000;

/** New schedules of a deployment. Each is a little younger than the one before it; lists show the youngest first. */
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

/** New schedules in place of all that a deployment has. A wish without a schedule is passed over. */
export function replacementRows(
  tools: Tools,
  deploymentId: string,
  wishes: readonly DeploymentScheduleUpdate[],
  around: Around,
): ScheduleRow[] {
  return scheduleRows(
    tools,
    deploymentId,
    wishes.flatMap((wish) => asNew(wish) ?? []),
    around,
  );
}

/** The schedule that a wish would create; undefined where the wish has none. Prefect: `max_scheduled_runs` is lost on this way. */
export function asNew({ schedule, parameters = {}, ...rest }: DeploymentScheduleUpdate): ScheduleWish | undefined {
  return schedule ? { ...rest, parameters, schedule, max_scheduled_runs: null } : undefined;
}

/**
 * Whether each schedule is active. Stock clients replace all schedules when they deploy, and do not say so: one that was
 * paused stays paused under its slug or, where it has none, as long as it says the same.
 */
function activeOf(
  wishes: readonly Pick<ScheduleWish, "active" | "slug" | "schedule">[],
  before: readonly ScheduleRow[],
): boolean[] {
  const left = before.map((row) => ({ row, kept: readOrNone(row.schedule) }));
  const take = (isMeant: (one: (typeof left)[number]) => boolean): ScheduleRow | undefined => {
    const index = left.findIndex(isMeant);
    return index < 0 ? undefined : left.splice(index, 1)[0]?.row;
  };
  const found = wishes.map(({ slug, schedule }) =>
    take(({ row, kept }) =>
      slug
        ? row.slug === slug
        : row.slug === null && kept !== undefined && isSameSchedule(schedule, kept, { withAnchor: true }),
    ),
  );
  return wishes.map(({ active, slug, schedule }, index) => {
    const isMeant = ({ row, kept }: (typeof left)[number]) =>
      row.slug === null && kept !== undefined && isSameSchedule(schedule, kept);
    const row = found[index] ?? (slug ? undefined : take(isMeant));
    return active ?? row?.active !== 0;
  });
}

/** A row that cannot be read is like no other. */
function readOrNone(text: string): Schedule | undefined {
  try {
    return readJson<Schedule>(text);
  } catch {
    return undefined;
  }
}

/** Stock clients do not know the policy, and replace all schedules when they deploy: it stays with the slug. */
function keptPolicy({ slug }: ScheduleWish, before: readonly ScheduleRow[]): string | null {
  return (slug && before.find((row) => row.slug === slug)?.missed_runs) || null;
}

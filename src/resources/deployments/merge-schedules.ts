/** The `schedules` of a changed deployment: known by their slugs, or else replaced as a whole. */
import { unprocessable } from "#lib/api-error";
import type { Statement } from "#db/database";
import { schedules } from "#db/rows/deployments";
import type { ScheduleParameters } from "#resources/deployments/required-parameters";
import type { DeploymentScheduleUpdate } from "#resources/deployments/schema";
import { asNew, checkAll, scheduleRows } from "#resources/deployments/schedules";
import { type DeploymentRow, DeploymentStore, type ScheduleRow, schedulesOf } from "#resources/deployments/store";
import type { Tools } from "#tools";
import { missedRunsColumn } from "#wire/deployments";
import { settleSchedule } from "#wire/schedule";

/** How a body changes the schedules of a deployment. */
export interface MergedSchedules {
  statements: readonly Statement[];
  /** The schedules that are created or changed. */
  written: readonly ScheduleParameters[];
  /** The schedules that stay as they are. */
  untouched: readonly ScheduleParameters[];
}

/** Compares the schedules of a deployment with those of a body. Throws 422 for schedules that cannot be told apart or created. */
export function mergeSchedules(
  tools: Tools,
  before: DeploymentRow,
  wishes: readonly DeploymentScheduleUpdate[] | undefined,
): MergedSchedules {
  const present = schedulesOf(before);
  if (wishes === undefined) return { statements: [], written: [], untouched: present };
  const isSlugged = present.length > 0 && present.every(({ slug }) => slug !== null);
  if (isSlugged) return mergeBySlug(tools, before, present, wishes);
  const rows = scheduleRows(tools, before.id, wishes.flatMap(asNew), {
    isPaused: before.paused === 1,
    before: present,
  });
  const store = new DeploymentStore(tools.db, tools.workspaceId);
  return { statements: store.replaceSchedules(before.id, rows), written: rows, untouched: [] };
}

function mergeBySlug(
  tools: Tools,
  { id, paused }: DeploymentRow,
  present: readonly ScheduleRow[],
  wishes: readonly DeploymentScheduleUpdate[],
): MergedSchedules {
  if (wishes.some(({ slug }) => (slug ?? null) === null)) {
    throw unprocessable(
      "Please provide a slug for each schedule in your request to ensure schedules are updated correctly.",
    );
  }
  checkRenames(present, wishes);
  const bySlug = new Map(present.map((row) => [row.slug, row]));
  const found = wishes.map((wish) => ({ wish, row: bySlug.get(wish.replaces || wish.slug || null) }));
  const fresh = found
    .filter(({ row }) => !row)
    .map(({ wish }) => {
      const [whole] = asNew(wish);
      if (!whole) throw unprocessable("Unable to create new deployment schedules without a schedule configuration.");
      return whole;
    });
  const changed = found.flatMap(({ wish, row }) =>
    row ? [{ row, changes: changesOf(tools, asDeclared(wish)), isRenamed: Boolean(wish.replaces) }] : [],
  );
  const added = scheduleRows(tools, id, fresh, { isPaused: paused === 1 });
  const changesById = new Map(changed.map(({ row, changes }) => [row.id, changes]));
  checkAll([...present.map((row) => ({ ...row, ...changesById.get(row.id) })), ...added], present);
  const store = new DeploymentStore(tools.db, tools.workspaceId);
  return {
    statements: [
      // Two schedules may exchange their slugs, so the old slugs are removed first.
      ...changed
        .filter(({ isRenamed }) => isRenamed)
        .map(({ row }) => store.updateSchedule(id, row.id, { slug: null })),
      ...changed.map(({ row, changes }) => store.updateSchedule(id, row.id, changes)),
      ...store.insertSchedules(id, added),
    ],
    written: [...changed.map(({ row, changes }) => ({ ...row, ...changes })), ...added],
    untouched: present.filter((row) => !changesById.has(row.id)),
  };
}

function checkRenames(present: readonly ScheduleRow[], wishes: readonly DeploymentScheduleUpdate[]): void {
  const replaced = wishes.flatMap(({ replaces }) => replaces || []);
  const twice = replaced.find((slug, index) => replaced.indexOf(slug) < index);
  if (twice) throw unprocessable(`Multiple schedules have 'replaces' targeting the same slug: ${twice}`);
  const kept = new Set(present.map(({ slug }) => slug)).difference(new Set(replaced));
  const clash = wishes.find(({ slug, replaces }) => slug && replaces && kept.has(slug));
  if (clash)
    throw unprocessable(
      `Cannot rename schedule from '${clash.replaces}' to '${clash.slug}': a schedule with slug '${clash.slug}' already exists.`,
    );
}

/** Prefect: a wish with a schedule has no parameters but its own. */
function asDeclared(wish: DeploymentScheduleUpdate): DeploymentScheduleUpdate {
  return wish.schedule ? { ...wish, parameters: wish.parameters ?? {} } : wish;
}

/** The columns of a changed schedule. A field that is not given stays as it is. Prefect: so does one that is null. */
export function changesOf(tools: Tools, wish: DeploymentScheduleUpdate): Partial<ScheduleRow> {
  const now = tools.clock();
  const said = {
    ...wish,
    schedule: wish.schedule && settleSchedule(wish.schedule, now),
    max_scheduled_runs: wish.max_scheduled_runs ?? undefined,
    slug: wish.slug ?? undefined,
  };
  return {
    updated: now,
    ...schedules.changes(said, ["replaces", "missed_runs"]),
    ...(wish.missed_runs !== undefined && { missed_runs: missedRunsColumn(wish.missed_runs) }),
  };
}

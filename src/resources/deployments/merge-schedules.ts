/** What a changed deployment's `schedules` come to: told apart by their slugs, or else replaced as a whole. */
import { unprocessable } from "#lib/api-error";
import type { Statement } from "#db/database";
import { schedules } from "#db/rows/deployments";
import type { ScheduleParameters } from "#resources/deployments/required-parameters";
import type { DeploymentScheduleUpdate } from "#resources/deployments/schema";
import { activeOf, checkAll, scheduleRows } from "#resources/deployments/schedules";
import { type DeploymentRow, type DeploymentStore, type ScheduleRow, schedulesOf } from "#resources/deployments/store";
import type { Tools } from "#tools";
import { missedRunsColumn } from "#wire/missed-runs";
import { settleSchedule } from "#wire/schedule";

/** The statements that bring the schedules to what the body says; none where it says nothing. Throws 422. */
export function mergeSchedules(
  tools: Tools,
  store: DeploymentStore,
  before: DeploymentRow,
  wishes: readonly DeploymentScheduleUpdate[] | undefined,
): Statement[] {
  if (wishes === undefined) return [];
  const present = schedulesOf(before);
  if (!areSlugged(present)) return replaceAll(tools, store, before, wishes);
  if (wishes.some(({ slug }) => (slug ?? null) === null)) {
    throw unprocessable(
      "Please provide a slug for each schedule in your request to ensure schedules are updated correctly.",
    );
  }
  checkRenames(present, wishes);
  return mergeBySlug(tools, store, before, wishes);
}

const areSlugged = (rows: readonly ScheduleRow[]) => rows.length > 0 && rows.every(({ slug }) => slug !== null);
const targetOf = ({ slug, replaces }: DeploymentScheduleUpdate) => replaces || slug || null;

/** The schedules that a body makes or changes, as far as their runs' parameters go. */
export function plannedSchedules(
  before: DeploymentRow,
  wishes: readonly DeploymentScheduleUpdate[],
): ScheduleParameters[] {
  const rows = schedulesOf(before);
  if (!areSlugged(rows)) {
    const fresh = wishes.flatMap((wish) => toCreate(wish) ?? []);
    const areActive = activeOf(fresh, rows);
    return fresh.map(({ parameters }, index) => ({
      active: areActive[index] ? 1 : 0,
      parameters: JSON.stringify(parameters),
    }));
  }
  const present = new Map(rows.map((row) => [row.slug, row]));
  return wishes.map((wish) => {
    const row = present.get(targetOf(wish));
    const isActive = wish.active ?? row?.active !== 0;
    const { parameters } = asDeclared(wish);
    return {
      active: isActive ? 1 : 0,
      parameters: parameters ? JSON.stringify(parameters) : (row?.parameters ?? "{}"),
    };
  });
}

/** The schedules that stay as they are. */
export function untouchedSchedules(
  before: DeploymentRow,
  wishes: readonly DeploymentScheduleUpdate[] | undefined,
): ScheduleParameters[] {
  const rows = schedulesOf(before);
  if (wishes === undefined) return rows;
  const targets = new Set(wishes.map(targetOf));
  return areSlugged(rows) ? rows.filter(({ slug }) => !targets.has(slug)) : [];
}

function replaceAll(
  tools: Tools,
  store: DeploymentStore,
  before: DeploymentRow,
  wishes: readonly DeploymentScheduleUpdate[],
): Statement[] {
  const { id, paused } = before;
  const rows = scheduleRows(
    tools,
    id,
    wishes.flatMap((wish) => toCreate(wish) ?? []),
    { isPaused: paused === 1, before: schedulesOf(before) },
  );
  // Prefect: `max_scheduled_runs` is lost on this way.
  return [
    store.removeSchedules(id),
    store.insertSchedules(
      id,
      rows.map((row) => ({ ...row, max_scheduled_runs: null })),
    ),
  ];
}

function mergeBySlug(
  tools: Tools,
  store: DeploymentStore,
  before: DeploymentRow,
  wishes: readonly DeploymentScheduleUpdate[],
): Statement[] {
  const present = new Map(schedulesOf(before).map((row) => [row.slug, row]));
  const found = wishes.map((wish) => ({ wish, row: present.get(targetOf(wish)) }));
  const fresh = found
    .filter(({ row }) => !row)
    .map(({ wish }) => {
      const whole = toCreate(wish);
      if (!whole) throw unprocessable("Unable to create new deployment schedules without a schedule configuration.");
      return { ...whole, max_scheduled_runs: null };
    });
  const changed = found.flatMap(({ wish, row }) =>
    row ? [{ row, changes: changesOf(tools, asDeclared(wish)), wish }] : [],
  );
  const added = scheduleRows(tools, before.id, fresh, { isPaused: before.paused === 1 });
  const changesById = new Map(changed.map(({ row, changes }) => [row.id, changes]));
  const untouchedOrChanged = [...present.values()].map((row) => ({ ...row, ...changesById.get(row.id) }));
  checkAll([...untouchedOrChanged, ...added], [...present.values()]);
  const renamed = changed.filter(({ wish }) => wish.replaces);
  return [
    // Two schedules may exchange their slugs, so the old ones go first.
    ...renamed.map(({ row }) => store.updateSchedule(before.id, row.id, { slug: null })),
    ...changed.map(({ row, changes }) => store.updateSchedule(before.id, row.id, changes)),
    ...(added.length > 0 ? [store.insertSchedules(before.id, added)] : []),
  ];
}

function checkRenames(present: readonly ScheduleRow[], wishes: readonly DeploymentScheduleUpdate[]): void {
  const replaced = new Set<string>();
  for (const { replaces } of wishes) {
    if (!replaces) continue;
    if (replaced.has(replaces))
      throw unprocessable(`Multiple schedules have 'replaces' targeting the same slug: ${replaces}`);
    replaced.add(replaces);
  }
  const taken = new Set(present.map(({ slug }) => slug));
  for (const { slug, replaces } of wishes) {
    if (slug && replaces && taken.has(slug) && !replaced.has(slug)) {
      throw unprocessable(
        `Cannot rename schedule from '${replaces}' to '${slug}': a schedule with slug '${slug}' already exists.`,
      );
    }
  }
}

function toCreate({ schedule, parameters = {}, ...rest }: DeploymentScheduleUpdate) {
  return schedule ? { ...rest, parameters, schedule } : undefined;
}

/** Prefect: a schedule that is declared anew has no parameters but those it is given. */
function asDeclared(wish: DeploymentScheduleUpdate): DeploymentScheduleUpdate {
  return wish.schedule ? { ...wish, parameters: wish.parameters ?? {} } : wish;
}

/** The columns of a changed schedule. Prefect: null says nothing. What is not given stays as it is. */
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

/** Checks the schedules of a body, makes rows from them, and compares them with the deployment's schedules. */
import { readJson, readOptionalJson, type Statement } from "#db/database";
import { type DeploymentColumns, type ScheduleRow, schedules } from "#db/rows/deployments";
import { newColumns } from "#db/workspace-store";
import { unprocessable } from "#lib/api-error";
import { byteLength } from "#lib/bytes";
import { isObject } from "#lib/json-value";
import {
  type DeploymentScheduleCreate,
  type DeploymentScheduleUpdate,
  MOST_SCHEDULES,
} from "#resources/deployments/schema";
import { type DeploymentRow, DeploymentStore, schedulesOf } from "#resources/deployments/store";
import type { Tools } from "#tools";
import { missedRunsColumn } from "#wire/deployments";
import { isSameSchedule, type Schedule, settleSchedule } from "#wire/schedule";

/** How a body changes the schedules of a deployment. */
interface MergedSchedules {
  statements: readonly Statement[];
  /** The schedules that are created or changed. */
  written: readonly ScheduleParameters[];
  /** The schedules that stay as they are. */
  untouched: readonly ScheduleParameters[];
}

/** Compares the schedules of a deployment with the schedules of a body. Throws 422 for schedules that cannot be distinguished or created. */
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
  const store = new DeploymentStore(tools);
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
  const store = new DeploymentStore(tools);
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

/** Prefect: a wish with a schedule replaces all parameters, even if the wish has no parameters. */
function asDeclared(wish: DeploymentScheduleUpdate): DeploymentScheduleUpdate {
  return wish.schedule ? { ...wish, parameters: wish.parameters ?? {} } : wish;
}

/** The columns of a changed schedule. An absent field does not change. Prefect: nor does a field that is null. */
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

/** A schedule to create, in the form of a body. `replaces` is not stored. */
type ScheduleWish = Omit<DeploymentScheduleCreate, "replaces" | "active"> & {
  active?: boolean | null | undefined;
};

/** The deployment of new schedules. */
interface Around {
  isPaused: boolean;
  /** The schedules that the new schedules replace. */
  before?: readonly ScheduleRow[];
}

/**
 * Throws 422 if a deployment would have too many schedules, or too large schedules. Older releases allowed more. So
 * schedules that exceed a bound already (`before`) may change as long as they do not grow.
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

/**
 * The maximum bytes of all schedules of a deployment. D1 reads the schedules as one value of at most 2 MB, in which
 * each schedule is quoted once more.
 */
const MAX_SCHEDULES_BYTES = 800_000;

/** Gives the rows of new schedules. Each row is a little newer than the row before, because lists show the newest row first. Throws 422. */
export function scheduleRows(
  tools: Tools,
  deploymentId: string,
  wishes: readonly ScheduleWish[],
  { isPaused, before = [] }: Around,
): ScheduleRow[] {
  const areActive = activeOf(wishes, before);
  const rows = wishes.map((wish, index) => {
    const keys = newColumns(tools);
    const isActive = areActive[index] ?? true;
    const { missed_runs: missedRuns, ...fields } = wish;
    const row = schedules.blank({
      ...fields,
      ...keys,
      deployment_id: deploymentId,
      schedule: settleSchedule(wish.schedule, keys.created),
      active: isActive,
      scheduled_until: keys.created,
      top_up_at: isActive && !isPaused ? keys.created : null,
    });
    return { ...row, missed_runs: missedRuns === undefined ? keptPolicy(wish, before) : missedRunsColumn(missedRuns) };
  });
  checkAll(rows);
  return rows;
}

/** The schedule that a wish would create; none if it has no schedule. Prefect: `max_scheduled_runs` is lost here. */
export function asNew({ schedule, parameters = {}, ...rest }: DeploymentScheduleUpdate): ScheduleWish[] {
  return schedule ? [{ ...rest, parameters, schedule, max_scheduled_runs: null }] : [];
}

/**
 * Whether each schedule is active. Stock clients replace all schedules when they deploy, and do not send `active`. A
 * paused schedule stays paused if the new schedule has the same slug or, without slugs, the same content.
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

/**
 * Stock clients replace all schedules when they deploy, and do not send the policy. So a new schedule keeps the policy
 * of the old schedule with the same slug.
 */
function keptPolicy({ slug }: ScheduleWish, before: readonly ScheduleRow[]): string | null {
  return (slug && before.find((row) => row.slug === slug)?.missed_runs) || null;
}

/** The columns of a deployment that give parameters to its runs. */
type Parameters = Pick<DeploymentColumns, "parameters" | "parameter_openapi_schema" | "enforce_parameter_schema">;

/** The columns of a schedule that give parameters to its runs. */
type ScheduleParameters = Pick<ScheduleRow, "active" | "parameters">;

/** The required parameters that have no value in the schedule's runs. None if the schema is not enforced. */
export function missingParameters(deployment: Parameters, schedule: Pick<ScheduleParameters, "parameters">): string[] {
  if (deployment.enforce_parameter_schema !== 1) return [];
  const schema = readOptionalJson<unknown>(deployment.parameter_openapi_schema);
  if (!isObject(schema) || !Array.isArray(schema["required"])) return [];
  const properties = isObject(schema["properties"]) ? schema["properties"] : {};
  const given = {
    ...readJson<Record<string, unknown>>(deployment.parameters),
    ...readJson<Record<string, unknown>>(schedule.parameters),
  };
  return schema["required"].filter((name): name is string => {
    if (typeof name !== "string" || Object.hasOwn(given, name)) return false;
    const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
    return !(isObject(property) && "default" in property);
  });
}

/** Throws 422 if an active schedule creates runs without a required parameter. The message names the parameters. */
export function checkParameters(deployment: Parameters, schedules: readonly ScheduleParameters[]): void {
  const missing = new Set(
    schedules.filter(({ active }) => active === 1).flatMap((schedule) => missingParameters(deployment, schedule)),
  );
  if (missing.size === 0) return;
  const names = [...missing].map((name) => `'${name}'`).join(", ");
  throw unprocessable(
    `The deployment cannot be scheduled: required parameters have no value: ${names}.` +
      " Give them a default, set them in the deployment's or the schedule's parameters, or make the schedule inactive.",
  );
}

/** Creates runs of the schedules of deployments in advance. A second call changes nothing. */
import { isPassing, readJson } from "#db/database";
import { createdByForm } from "#db/short/created-by";
import type { ScheduleRow } from "#db/rows/deployments";
import { type Micros, SECOND } from "#lib/clock";
import { chunksBySize } from "#lib/chunks";
import { inHalves } from "#lib/halving";
import { log } from "#lib/log";
import { isOfWholeDays } from "#lib/schedules/interval";
import { Looks, momentsWithin, type Window } from "#lib/schedules/looks";
import { printZoned } from "#lib/schedules/calendar";
import { createFlowRuns, type FlowRunDraft } from "#resources/flow-runs/create-flow-run";
import { forgetRuns, removeRunsById } from "#resources/deployments/removals";
import { missingParameters } from "#resources/deployments/schedules";
import type { ScheduleWindow } from "#resources/deployments/schema";
import { type DeploymentRow, DeploymentStore, type ScheduleMark, schedulesOf } from "#resources/deployments/store";
import type { Tools } from "#tools";
import { type Schedule, scheduleKind, scheduleMoments } from "#wire/schedule";

/** Runs that became due while no cron ran are created if they are at most this old. */
const CATCH_UP = 3600 * SECOND;
/** How many of these old runs each schedule gets. */
const MAX_PASSED_OVER = 1000;

/** How many looks the schedules of one call share. 2,000,000 looks take about half a second of one core. */
const MOST_LOOKS = 2_000_000;

/** How many bytes of runs one statement has. D1 allows values of 2 MB, and a run is written with its state. */
const MOST_BYTES = 500_000;

/** The new runs of a schedule, and the time up to which the schedule then has runs. */
interface Plan {
  row: DeploymentRow;
  drafts: FlowRunDraft[];
  mark: ScheduleMark;
}

/** The ids of the runs that were created, by the id of their schedule. */
type MadeRuns = Map<string, string[]>;

/**
 * Creates runs of the deployments' active schedules, or only of the active schedules with the ids `only`. If a schedule
 * fails, the failure is logged, and the other schedules get their runs. Throws only passing failures (`isPassing`).
 */
export async function materialise(
  tools: Tools,
  rows: readonly DeploymentRow[],
  only?: ReadonlySet<string>,
): Promise<void> {
  const horizon = horizonFrom(tools, tools.clock());
  const plans = rows
    .filter((row) => row.paused === 0)
    .flatMap((row) =>
      schedulesOf(row)
        .filter((schedule) => schedule.active === 1 && (!only || only.has(schedule.id)))
        .flatMap((schedule) => planOrLog(tools, row, schedule, horizon)),
    );
  const made: MadeRuns = new Map();
  await inHalves(
    plans,
    (some) => carryOut(tools, some, made, horizon.start),
    async ({ mark }, error) => logFailure(tools, mark, error),
    { isPassing },
  );
}

/**
 * `POST /deployments/{id}/schedule`: creates the runs of all active schedules in a window, also for a paused
 * deployment. The window may be in the past. Prefect: an unknown deployment has no schedules.
 */
export async function scheduleDeployment(tools: Tools, id: string, asked: ScheduleWindow): Promise<void> {
  const row = await new DeploymentStore(tools).read({ id });
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

function planOrLog(tools: Tools, row: DeploymentRow, schedule: ScheduleRow, horizon: Horizon): Plan[] {
  try {
    const plan = planSchedule(row, schedule, horizon);
    if (!horizon.looks.areSpent) return [plan];
    log(tools, "warn", "a schedule waits, for the others take too long to follow", idsOf(schedule));
  } catch (error) {
    logFailure(tools, schedule, error);
  }
  return [];
}

type ScheduleKey = Pick<ScheduleRow, "deployment_id" | "id">;

const idsOf = ({ deployment_id, id }: ScheduleKey) => ({ deployment_id, schedule_id: id });

function logFailure(tools: Tools, schedule: ScheduleKey, error: unknown): void {
  log(tools, "error", "a schedule could not be made into runs", { ...idsOf(schedule), error });
}

/** Creates the runs, adds them to `made`, and moves the marks. A repeat is safe, also after a failure in the middle. */
async function carryOut(tools: Tools, plans: readonly Plan[], made: MadeRuns, now: Micros): Promise<void> {
  await makeRuns(
    tools,
    plans.flatMap(({ drafts }) => drafts),
    made,
  );
  const store = new DeploymentStore(tools);
  const { rows: marked } = await tools.db.run(store.markSchedules(plans.map(({ mark }) => mark)));
  const upheld = new Set(marked.map(({ id }) => id));
  for (const { row, mark } of plans) if (!upheld.has(mark.id)) await takeBack(tools, row, made.get(mark.id) ?? [], now);
}

/**
 * Removes the runs of a schedule if the schedule or its deployment was changed or paused meanwhile. The request that
 * made the change has removed the older runs. But the request may have found these runs when it created its own runs,
 * and then it created none. So the schedule is made due for the next top-up.
 */
async function takeBack(tools: Tools, row: DeploymentRow, runIds: readonly string[], now: Micros): Promise<void> {
  if (runIds.length === 0) return;
  const removal = removeRunsById(tools.workspaceId, runIds);
  const again = new DeploymentStore(tools).callForTopUp(row.id, now);
  const written = await tools.db.batch([...removal, again]);
  await forgetRuns(tools, row, written.slice(0, removal.length));
}

/** Creates the runs in groups that fit into one statement. Runs that did not exist before are added to `made`. */
async function makeRuns(tools: Tools, drafts: readonly FlowRunDraft[], made: MadeRuns = new Map()): Promise<void> {
  for (const portion of chunksBySize(drafts, MOST_BYTES, (draft) => JSON.stringify(draft).length * 2)) {
    for (const { run, created } of await createFlowRuns(tools, portion)) {
      if (!created || run.created_by === null) continue;
      const scheduleId = createdByForm.read(run.created_by).id ?? "";
      made.set(scheduleId, [...(made.get(scheduleId) ?? []), run.id]);
    }
  }
}

/** The time for which runs are created. */
interface Horizon extends Window {
  start: Micros;
  /** The looks that all schedules share. */
  looks: Looks;
}

/** The period from `start` in which schedules create runs. The settings give its length and the number of runs. */
function horizonFrom({ settings }: Tools, start: Micros): Horizon {
  const { min_runs, max_runs, min_scheduled_seconds, max_scheduled_seconds } = settings.services.scheduler;
  return {
    start,
    end: start + max_scheduled_seconds * SECOND,
    until: start + min_scheduled_seconds * SECOND,
    minRuns: min_runs,
    maxRuns: max_runs,
    looks: new Looks(MOST_LOOKS),
  };
}

/** Gives the dates of a schedule at or after `start`. */
type Moments = (start: Micros) => Iterable<Micros>;

function planSchedule(row: DeploymentRow, schedule: ScheduleRow, horizon: Horizon): Plan {
  const now = horizon.start;
  const isPossible = missingParameters(row, schedule).length === 0;
  const from = (start: Micros) => momentsOf(schedule, start, horizon.looks.forOneSearch());
  const moments = isPossible ? momentsWithin(from(now), horizon) : [];
  const fresh = moments.filter((moment) => schedule.scheduled_until === null || moment > schedule.scheduled_until);
  return {
    row,
    drafts: draftsOf(row, schedule, isPossible ? [...passedOver(schedule, now, from), ...fresh] : []),
    mark: {
      deployment_id: row.id,
      id: schedule.id,
      updated: schedule.updated,
      deployment_updated: row.updated,
      scheduled_until: moments.at(-1) ?? schedule.scheduled_until,
      // A schedule without a required parameter gets no runs until the schedule is changed. A change makes the next top-up due.
      top_up_at: isPossible ? nextTopUp(moments, horizon, from) : null,
    },
  };
}

/** The dates after the last created run that became due while no cron ran. Prefect creates no runs for these dates. */
function passedOver({ scheduled_until: until }: ScheduleRow, now: Micros, from: Moments): Micros[] {
  if (until === null || until >= now) return [];
  const start = Math.max(until + 1, now - CATCH_UP);
  return momentsWithin(from(start), {
    end: now - 1,
    until: now,
    minRuns: MAX_PASSED_OVER,
    maxRuns: MAX_PASSED_OVER,
  });
}

/** The time of the next top-up: when too few runs are left, or the last run is too near. Null if no date is left. */
function nextTopUp(moments: readonly Micros[], horizon: Horizon, from: Moments): Micros | null {
  const { start: now, end, until, minRuns } = horizon;
  const [lastButFew] = moments.slice(-minRuns);
  const last = moments.at(-1);
  if (lastButFew !== undefined && last !== undefined && moments.length >= minRuns)
    return Math.max(now + 45 * SECOND, Math.min(lastButFew, last - (until - now)));
  // The horizon has too few dates. The next date is after the horizon, or does not exist.
  const [beyond] = from(end + 1);
  return beyond === undefined ? null : Math.max(now + 60 * SECOND, beyond - (end - now));
}

/**
 * The schedule's dates from `start` on. For an interval of more than a day that is not a number of whole days, the
 * search starts at the schedule's last change. Prefect counts elapsed time from the anchor to the start of its search.
 * After a change of the clocks its search gives other times, so Prefect creates the runs of those days a second time.
 */
function* momentsOf({ id, schedule: text, updated }: ScheduleRow, start: Micros, looks: Looks): Generator<Micros> {
  const schedule = readJson<Schedule>(text);
  const isFollowed = "interval" in schedule && schedule.interval > 86_400 && !isOfWholeDays(schedule.interval);
  for (const moment of scheduleMoments(schedule, isFollowed ? Math.min(updated, start) : start, { seed: id, looks })) {
    if (moment >= start) yield moment;
  }
}

/** Prefect: `_generate_scheduled_flow_runs`. Because of the idempotency key, a date of a schedule gets only one run. */
function draftsOf(
  row: DeploymentRow,
  { id, slug, schedule: text, parameters }: ScheduleRow,
  moments: readonly Micros[],
): FlowRunDraft[] {
  const schedule = readJson<Schedule>(text);
  // Read once for all dates: parameters may be large.
  const merged = {
    ...readJson<Record<string, unknown>>(row.parameters),
    ...readJson<Record<string, unknown>>(parameters),
  };
  return moments.map((moment) => ({
    flow_id: row.flow_id,
    deployment_id: row.id,
    deployment_version: row.version,
    work_queue_id: row.work_queue_id,
    work_queue_name: row.queue_name ?? row.work_queue_name,
    parameters: merged,
    infrastructure_document_id: row.infrastructure_document_id,
    idempotency_key: `scheduled ${row.id} ${id} ${printZoned(moment, schedule.timezone || "UTC")}`,
    tags: ["auto-scheduled", ...readJson<string[]>(row.tags)],
    auto_scheduled: true,
    created_by: { id, type: "SCHEDULE", display_value: slug || scheduleKind(schedule) },
    state: { type: "SCHEDULED", message: "Flow run scheduled", state_details: { scheduled_time: moment } },
  }));
}

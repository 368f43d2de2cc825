/** Makes the schedules of deployments into runs, a stretch ahead; running it again changes nothing. */
import { isPassing, readJson } from "#db/database";
import { type Micros, SECOND } from "#lib/clock";
import { inHalves } from "#lib/halving";
import { log } from "#lib/log";
import { momentsWithin, type Window } from "#lib/schedules/dates";
import { isOfWholeDays } from "#lib/schedules/interval";
import { Looks } from "#lib/schedules/looks";
import { printZoned } from "#lib/schedules/zones";
import { createFlowRuns, type FlowRunDraft } from "#resources/flow-runs/create-flow-run";
import { forgetRuns, removeRunsById } from "#resources/deployments/future-runs";
import { missingParameters } from "#resources/deployments/required-parameters";
import {
  type DeploymentRow,
  DeploymentStore,
  type ScheduleMark,
  type ScheduleRow,
  schedulesOf,
} from "#resources/deployments/store";
import type { Tools } from "#tools";
import { type Schedule, scheduleKind, scheduleMoments } from "#wire/schedule";

/** A clock that stood still for no longer than this loses no run, and not more than so many of a schedule. */
const CATCH_UP = 3600 * SECOND;
const MAX_PASSED_OVER = 1000;

/** What the schedules of one call look at together, about half a second of one core. */
export const MOST_LOOKS = 2_000_000;

/** What goes into one statement: D1 takes values of 2 MB, and a run is written with its state. */
const MOST_BYTES = 500_000;

/** A schedule's runs to be made, and how far it has come then. */
interface Plan {
  row: DeploymentRow;
  drafts: FlowRunDraft[];
  mark: ScheduleMark;
}

/**
 * Makes runs of the deployments' active schedules, or of those among them that are named. Returns how many were made. A
 * schedule that cannot be made into runs is logged, and does not keep the others from it; only a passing failure is thrown.
 */
export async function materialise(
  tools: Tools,
  rows: readonly DeploymentRow[],
  only?: ReadonlySet<string>,
): Promise<number> {
  const now = tools.clock();
  const horizon = { ...horizonFrom(tools, now), looks: new Looks(MOST_LOOKS) };
  const plans = rows
    .filter((row) => row.paused === 0)
    .flatMap((row) =>
      schedulesOf(row)
        .filter((schedule) => schedule.active === 1 && (!only || only.has(schedule.id)))
        .flatMap((schedule) => planOrLog(tools, row, schedule, horizon)),
    );
  const made: MadeRun[] = [];
  await inHalves(
    plans,
    (some) => carryOut(tools, some, { made, now }),
    async ({ row, mark }, error) => logFailure(tools, idsOf(row, mark), error),
    { isPassing },
  );
  return made.length;
}

function planOrLog(tools: Tools, row: DeploymentRow, schedule: ScheduleRow, horizon: Horizon): Plan[] {
  try {
    const plan = planSchedule(row, schedule, horizon);
    if (!horizon.looks?.areSpent) return [plan];
    log(tools, "warn", "a schedule waits, for the others take too long to follow", idsOf(row, schedule));
  } catch (error) {
    logFailure(tools, idsOf(row, schedule), error);
  }
  return [];
}

const idsOf = (row: DeploymentRow, { id }: { id: string }) => ({ deployment_id: row.id, schedule_id: id });

function logFailure(tools: Tools, ids: ReturnType<typeof idsOf>, error: unknown): void {
  log(tools, "error", "a schedule could not be made into runs", { ...ids, error });
}

/** Makes the runs and moves the marks. Done twice, or in part before, it is done once; `made` gets what was made. */
async function carryOut(
  tools: Tools,
  plans: readonly Plan[],
  { made, now }: { made: MadeRun[]; now: Micros },
): Promise<void> {
  await makeRuns(
    tools,
    plans.flatMap(({ drafts }) => drafts),
    made,
  );
  const store = new DeploymentStore(tools.db, tools.workspaceId);
  const { rows: marked } = await tools.db.run(store.markSchedules(plans.map(({ mark }) => mark)));
  const upheld = new Set(marked.map(({ id }) => id));
  for (const { row, mark } of plans.filter(({ mark: { id } }) => !upheld.has(id)))
    await takeBack(tools, { row, scheduleId: mark.id, made, now });
}

interface MadeRun {
  id: string;
  scheduleId: string | undefined;
}

interface Outdated {
  row: DeploymentRow;
  scheduleId: string;
  made: readonly MadeRun[];
  now: Micros;
}

/**
 * A schedule that was changed or paused meanwhile, or whose deployment was, gets none of these runs. Whoever changed it has
 * removed the older ones, but may have found these there when it made its own: so the next top-up goes over it again.
 */
async function takeBack(tools: Tools, { row, scheduleId, made, now }: Outdated): Promise<void> {
  const ids = made.filter((run) => run.scheduleId === scheduleId).map(({ id }) => id);
  if (ids.length === 0) return;
  const removal = removeRunsById(tools.workspaceId, ids);
  const again = new DeploymentStore(tools.db, tools.workspaceId).callForTopUp(row.id, now);
  const written = await tools.db.batch([...removal, again]);
  await forgetRuns(tools, row, written.slice(0, removal.length));
}

/** Creates the runs, as many at once as fit into a statement. `made` gets those that were not there. */
export async function makeRuns(tools: Tools, drafts: readonly FlowRunDraft[], made: MadeRun[] = []): Promise<void> {
  for (const portion of portions(drafts)) {
    for (const { run, created } of await createFlowRuns(tools, portion)) {
      const scheduleId = run.created_by === null ? undefined : readJson<{ id: string }>(run.created_by).id;
      if (created) made.push({ id: run.id, scheduleId });
    }
  }
}

function portions(drafts: readonly FlowRunDraft[]): FlowRunDraft[][] {
  const found: FlowRunDraft[][] = [];
  let room = 0;
  for (const draft of drafts) {
    const bytes = JSON.stringify(draft).length * 2;
    const last = found.at(-1);
    if (last && bytes <= room) {
      last.push(draft);
      room -= bytes;
      continue;
    }
    found.push([draft]);
    room = MOST_BYTES - bytes;
  }
  return found;
}

/** How far ahead runs are made, and from when on. */
export interface Horizon extends Window {
  start: Micros;
  /** What all schedules together may look at. */
  looks?: Looks;
}

/** The settings' horizon, as it lies from a moment on. */
export function horizonFrom({ settings }: Tools, start: Micros): Horizon {
  const { min_runs, max_runs, min_scheduled_seconds, max_scheduled_seconds } = settings.services.scheduler;
  return {
    start,
    end: start + max_scheduled_seconds * SECOND,
    until: start + min_scheduled_seconds * SECOND,
    minRuns: min_runs,
    maxRuns: max_runs,
  };
}

/** The dates of a schedule at or after a moment. */
type Moments = (start: Micros) => Iterable<Micros>;

function planSchedule(row: DeploymentRow, schedule: ScheduleRow, horizon: Horizon): Plan {
  const now = horizon.start;
  const isPossible = missingParameters(row, schedule).length === 0;
  const from = (start: Micros) => momentsOf(schedule, start, horizon.looks?.forOneSearch());
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
      // Where a parameter is missing, only a change can help, and that calls for a top-up by itself.
      top_up_at: isPossible ? nextTopUp(moments, horizon, from) : null,
    },
  };
}

/** What became due after the last run that was made, while no clock was running. Prefect leaves it out. */
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

/** When the runs that are left become too few or too near. Null where no date is left. */
function nextTopUp(moments: readonly Micros[], horizon: Horizon, from: Moments): Micros | null {
  const { start: now, end, until, minRuns } = horizon;
  const [lastButFew] = moments.slice(-minRuns);
  const last = moments.at(-1);
  if (lastButFew !== undefined && last !== undefined && moments.length >= minRuns)
    return Math.max(now + 45 * SECOND, Math.min(lastButFew, last - (until - now)));
  // The dates run out, or the next one lies too far ahead to be made now.
  const [beyond] = from(end + 1);
  return beyond === undefined ? null : Math.max(now + 60 * SECOND, beyond - (end - now));
}

/**
 * The schedule's dates from `start` on. Intervals of more than a day are followed from the schedule's last change, unless they
 * keep their time of day by themselves: Prefect counts elapsed time from the anchor to where it begins to look, finds other
 * times when it looks after clocks have changed, and makes the runs of those days a second time.
 */
function* momentsOf(
  { id, schedule: text, updated }: ScheduleRow,
  start: Micros,
  looks = new Looks(),
): Generator<Micros> {
  const schedule = readJson<Schedule>(text);
  const isFollowed = "interval" in schedule && schedule.interval > 86_400 && !isOfWholeDays(schedule.interval);
  for (const moment of scheduleMoments(schedule, isFollowed ? Math.min(updated, start) : start, { seed: id, looks })) {
    if (moment >= start) yield moment;
  }
}

/** Prefect: `_generate_scheduled_flow_runs`; the idempotency key makes a date of a schedule one run, whoever makes it. */
export function draftsOf(
  row: DeploymentRow,
  { id, slug, schedule: text, parameters }: ScheduleRow,
  moments: readonly Micros[],
): FlowRunDraft[] {
  const schedule = readJson<Schedule>(text);
  // Read once: parameters may be large, and dates many.
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

/**
 * `GET /flow_runs/{id}/why`: one read of D1, and one call of each object that has more facts. A second read gives the
 * names of slot holders that the first read did not give.
 */
import { stateOf } from "#db/rows/flow-runs";
import { notFound } from "#lib/api-error";
import { readUsage } from "#objects/concurrency-limits/client";
import { isWorkerless, workPool } from "#objects/work-pool/client";
import type { PlaceInQueue } from "#objects/work-pool/messages";
import * as deployment from "#resources/flow-runs/why/deployment";
import * as limits from "#resources/flow-runs/why/limits";
import * as pool from "#resources/flow-runs/why/pool";
import { type Finding, hasStarted, type Reason, type Situation } from "#resources/flow-runs/why/reason";
import { readNames, readWhyRows, type WhyRow, type WhyRows } from "#resources/flow-runs/why/rows";
import type { Why } from "#resources/flow-runs/why/schema";
import * as states from "#resources/flow-runs/why/state";
import type { Tools } from "#tools";
import { printTime } from "#wire/dates";
import type { StateType } from "#wire/state";

/** Gives why the run has not started. Throws 404 if the run does not exist. */
export async function explainFlowRun(tools: Tools, id: string): Promise<Why> {
  const rows = await readWhyRows(tools, id, tools.clock());
  if (!rows) throw notFound("Flow run");
  const situation = await readSituation(tools, rows);
  const { state, row } = situation;
  const findings = findReasons(situation);
  const [first] = findings;
  if (!first) throw new Error("no reason was found");
  return {
    flow_run_id: row.id,
    state: state && { type: state.type, name: state.name, timestamp: printTime(state.timestamp) },
    started: hasStarted(row),
    reasons: findings.map(({ reason }) => reason),
    next: first.next,
  };
}

/** The reasons of a run that is not scheduled, by the type of its state. */
const BY_STATE: Readonly<Record<Exclude<StateType, "SCHEDULED">, readonly Reason[]>> = {
  COMPLETED: [states.ended],
  FAILED: [states.ended],
  CANCELLED: [states.ended],
  CRASHED: [states.ended],
  RUNNING: [states.running, limits.fullTags],
  CANCELLING: [states.cancelling],
  PAUSED: [states.paused, states.suspended],
  PENDING: [states.pending, pool.noWorker, pool.otherType],
};

/** The reasons that prevent a scheduled run from starting. */
const KEEPING_BACK: readonly Reason[] = [
  deployment.deletedDeployment,
  deployment.ownProcess,
  deployment.noQueue,
  states.awaitingRetry,
  states.waitingForTime,
  states.awaitingSlot,
  limits.deploymentLimitAhead,
  states.skipped,
  pool.pausedPool,
  pool.pausedQueue,
  pool.poolWithoutWorkers,
  pool.noWorker,
  pool.unpolledQueue,
  deployment.unpolledDeployment,
  limits.fullPool,
  limits.fullQueue,
  pool.behindOthers,
  limits.deploymentLimit,
];

/** Reasons that do not prevent a scheduled run from starting, but are useful to know. */
const NOTES: readonly Reason[] = [pool.otherType, deployment.pausedDeployment, deployment.inactiveSchedule];

/** The reasons that are true for the run, at least one. The first reason decides. */
function findReasons(situation: Situation): readonly Finding[] {
  const type = situation.state?.type ?? "SCHEDULED";
  if (type !== "SCHEDULED") return findEach(BY_STATE[type], situation);
  if (states.isRetriedInProcess(situation)) return states.retryInProcess(situation);
  const found = findEach(KEEPING_BACK, situation);
  return [...(found.length > 0 ? found : pool.ready(situation)), ...findEach(NOTES, situation)];
}

function findEach(reasons: readonly Reason[], situation: Situation): Finding[] {
  return reasons.flatMap((reason) => reason(situation));
}

async function readSituation(tools: Tools, { underWay, ...rows }: WhyRows): Promise<Situation> {
  const [standing, usage] = await Promise.all([standingOf(tools, rows.row), readUsage(tools, limitsOf(rows))]);
  const names = new Map(underWay.map((run) => [run.id, run]));
  const holders = Object.values(usage).flatMap(({ leases }) => leases.flatMap(({ holder }) => holder ?? []));
  const unnamed = holders.map((holder) => holder.id).filter((id) => !names.has(id));
  if (unnamed.length > 0) for (const run of await readNames(tools, unnamed)) names.set(run.id, run);
  return {
    ...rows,
    now: tools.clock(),
    state: stateOf(rows.row),
    isWorkerless: isWorkerless(rows.row.p_type ?? ""),
    standing,
    usage,
    names,
    patienceSeconds: patienceOf(tools, rows.row),
  };
}

/** Calls the pool's object only for runs that are Scheduled or Pending. */
async function standingOf(tools: Tools, row: WhyRow): Promise<PlaceInQueue | null> {
  const { p_id, p_name, q_id, s_type } = row;
  if (p_id === null || p_name === null || q_id === null || (s_type !== "SCHEDULED" && s_type !== "PENDING"))
    return null;
  return workPool(tools, p_name).placeInQueue(p_id, { id: row.id, queue_id: q_id, due: row.due ?? tools.clock() });
}

/** How long the run may stay Pending without a sign of life. */
function patienceOf({ settings }: Tools, row: WhyRow): number | null {
  const { enabled, pending_seconds, infrastructure_pending_seconds } = settings.services.lazarus;
  const isOwnProcess = row.deployment_id === null && row.q_id === null;
  if (!enabled || isOwnProcess || row.d_lazarus !== 1) return null;
  return row.infrastructure_pid === null ? pending_seconds : infrastructure_pending_seconds;
}

/** The ids of the limits that may prevent the run or its tasks from starting. */
function limitsOf({ row, tagged }: Pick<WhyRows, "row" | "tagged">): string[] {
  if (row.s_type === "RUNNING") return [...new Set(tagged.map(({ limit_id }) => limit_id))];
  return row.s_type === "SCHEDULED" && row.c_id !== null && row.c_active === 1 ? [row.c_id] : [];
}

/** The reasons why a run has not started, in the order in which they decide. Pure: the caller loads all that is known. */
import {
  deletedDeployment,
  inactiveSchedule,
  noQueue,
  ownProcess,
  pausedDeployment,
  unpolledDeployment,
} from "#resources/flow-runs/why/deployment";
import { deploymentLimit, deploymentLimitAhead, fullPool, fullQueue, fullTags } from "#resources/flow-runs/why/limits";
import {
  behindOthers,
  noWorker,
  otherType,
  pausedPool,
  pausedQueue,
  poolWithoutWorkers,
  ready,
  unpolledQueue,
} from "#resources/flow-runs/why/pool";
import type { Finding, Reason } from "#resources/flow-runs/why/reason";
import type { Situation } from "#resources/flow-runs/why/situation";
import { cancelling, ended, paused, pending, running, suspended } from "#resources/flow-runs/why/state";
import {
  awaitingRetry,
  awaitingSlot,
  isRetriedInProcess,
  retryInProcess,
  skipped,
  waitingForTime,
} from "#resources/flow-runs/why/time";
import type { StateType } from "#wire/state";

/** The reasons of a run that is not scheduled, by the type of its state. */
const BY_STATE: Readonly<Record<Exclude<StateType, "SCHEDULED">, readonly Reason[]>> = {
  COMPLETED: [ended],
  FAILED: [ended],
  CANCELLED: [ended],
  CRASHED: [ended],
  RUNNING: [running, fullTags],
  CANCELLING: [cancelling],
  PAUSED: [paused, suspended],
  PENDING: [pending, noWorker, otherType],
};

/** What keeps a scheduled run from starting. */
const KEEPING_BACK: readonly Reason[] = [
  deletedDeployment,
  ownProcess,
  noQueue,
  awaitingRetry,
  waitingForTime,
  awaitingSlot,
  deploymentLimitAhead,
  skipped,
  pausedPool,
  pausedQueue,
  poolWithoutWorkers,
  noWorker,
  unpolledQueue,
  unpolledDeployment,
  fullPool,
  fullQueue,
  behindOthers,
  deploymentLimit,
];

/** What does not keep a scheduled run from starting, but is worth knowing. */
const NOTES: readonly Reason[] = [otherType, pausedDeployment, inactiveSchedule];

/** The reasons that hold of the run, at least one. The first one decides. */
export function findReasons(situation: Situation): readonly Finding[] {
  const type = situation.state?.type ?? "SCHEDULED";
  if (type !== "SCHEDULED") return findEach(BY_STATE[type], situation);
  if (isRetriedInProcess(situation)) return retryInProcess(situation);
  const found = findEach(KEEPING_BACK, situation);
  return [...(found.length > 0 ? found : ready(situation)), ...findEach(NOTES, situation)];
}

function findEach(reasons: readonly Reason[], situation: Situation): Finding[] {
  return reasons.flatMap((reason) => reason(situation));
}

/** The types of reasons and of their input, and functions that several reasons use. Pure. */
import type { Micros } from "#lib/clock";
import type { Usage } from "#objects/concurrency-limits/messages";
import type { PlaceInQueue } from "#objects/work-pool/messages";
import type { NamedRun, WhyRow, WhyRows } from "#resources/flow-runs/why/rows";
import type { WhyNext, WhyReason } from "#resources/flow-runs/why/schema";
import { printOptionalTime } from "#wire/dates";
import type { State } from "#wire/state";

type Code = WhyReason["code"];
type FactsByCode = { [C in Code]: Extract<WhyReason, { code: C }>["facts"] };

/** The facts of a reason, by its code. */
export type Facts<C extends Code> = FactsByCode[C];

/** A reason that is true, and the next step if this reason decides. */
export interface Finding<C extends Code = Code> {
  reason: { [K in C]: { code: K; message: string; facts: FactsByCode[K]; since: string | null } }[C];
  next: WhyNext;
}

/** `at` is null if the time is unknown. */
type Next = Omit<WhyNext, "at"> & Partial<Pick<WhyNext, "at">>;

interface Entry<C extends Code> {
  /** The facts that show that the reason is true, or null if it is not true. */
  when: (situation: Situation) => Facts<C> | null;
  sentence: (facts: Facts<C>, situation: Situation) => string;
  /** The time since which the reason is true, if that time is known. */
  since?: (facts: Facts<C>, situation: Situation) => string | null;
  /** Who does the next step, and when. */
  next: (facts: Facts<C>, situation: Situation) => Next;
}

/** Gives the findings of one reason: none if the reason is not true. */
export type Reason = (situation: Situation) => Finding[];

/** Makes the reason with this code. */
export function reason<C extends Code>(code: C, { when, sentence, since, next }: Entry<C>) {
  return (situation: Situation): Finding<C>[] => {
    const facts = when(situation);
    if (facts === null) return [];
    const found = { code, message: sentence(facts, situation), facts, since: since?.(facts, situation) ?? null };
    return [{ reason: found, next: { at: null, ...next(facts, situation) } }];
  };
}

/** The facts about one run, from D1 and the objects. */
export interface Situation extends Omit<WhyRows, "underWay"> {
  now: Micros;
  state: State | null;
  /** Whether the run's pool is of a type that has no workers. */
  isWorkerless: boolean;
  /** The run's place in the queue of its pool. Null if the run is in no pool. */
  standing: PlaceInQueue | null;
  /** The slots of the run's limits, by the limits' ids. */
  usage: Readonly<Record<string, Usage>>;
  /** The runs that may hold slots, by their ids. */
  names: ReadonlyMap<string, NamedRun>;
  /** How long the run may stay Pending without a sign of life before it is scheduled anew. Null if it is never scheduled anew. */
  patienceSeconds: number | null;
}

/** Whether the run has ever run. Prefect: a run that ended without running has a start time: its end time. */
export function hasStarted({ run_count, s_type }: WhyRow): boolean {
  return run_count > 0 || s_type === "RUNNING";
}

/** Whether the run is due. */
export function isDue({ row, now }: Situation): boolean {
  return row.due === null || row.due <= now;
}

/** The time of the run's present state, for a reason's `since`. */
export function stateSince(_facts: unknown, { state }: Situation): string | null {
  return printOptionalTime(state?.timestamp);
}

/** The message of the run's present state in brackets, or an empty text. */
export function stateMessage({ state }: Situation): string {
  return state?.message ? ` (${state.message.replace(/\.$/, "")})` : "";
}

/** The facts that name the run's pool. */
export function inPool({ p_id, p_name }: WhyRow) {
  return p_id === null || p_name === null ? null : { work_pool_id: p_id, work_pool_name: p_name };
}

/** The facts that name the run's queue. */
export function inQueue(row: WhyRow) {
  const pool = inPool(row);
  return pool === null || row.q_id === null || row.q_name === null
    ? null
    : { ...pool, work_queue_id: row.q_id, work_queue_name: row.q_name };
}

/** The facts that name the run's deployment. */
export function ofDeployment({ deployment_id, d_name }: WhyRow) {
  return deployment_id === null || d_name === null ? null : { deployment_id, deployment_name: d_name };
}

/** The id of the run's deployment if the deployment was deleted. The run's row loses it, the run's label keeps it. */
export function deletedDeploymentId({ deployment_id, origin_id, d_name }: WhyRow): string | null {
  return d_name === null ? (deployment_id ?? origin_id) : null;
}

/** All that is known of a run that may be waiting, and what is found in it. */
import type { Micros } from "#lib/clock";
import type { Usage } from "#objects/concurrency-limits/messages";
import type { PlaceInQueue } from "#objects/work-pool/messages";
import type { NamedRun, WhyRow, WhyRows } from "#resources/flow-runs/why-facts";
import type { WhyNext, WhyReason } from "#resources/flow-runs/why-schema";
import type { State } from "#wire/state";

/** What D1 and the objects know. */
export interface Situation extends Omit<WhyRows, "underWay"> {
  now: Micros;
  state: State | null;
  /** Whether its pool is of a type that has no workers. */
  isWorkerless: boolean;
  /** How it stands in its pool; null where it is in none. */
  standing: PlaceInQueue | null;
  /** The slots of its limits, by the limits' ids. */
  usage: Readonly<Record<string, Usage>>;
  /** The names of those that may hold slots, by their ids. */
  names: ReadonlyMap<string, NamedRun>;
  /** So long it may stay Pending without a sign of life before it is scheduled anew; null where it never is. */
  patienceSeconds: number | null;
}

/** A reason, and what happens next if it is the one that decides. */
export interface Finding {
  reason: WhyReason;
  next: WhyNext;
}

/** One finding, as rules give it. */
export function finding(reason: WhyReason, next: Omit<WhyNext, "at"> & Partial<Pick<WhyNext, "at">>): [Finding] {
  return [{ reason, next: { at: null, ...next } }];
}

/** Whether it has ever run. Prefect: a run that ended without running has a start as well, its end. */
export function hasStarted({ run_count, s_type }: WhyRow): boolean {
  return run_count > 0 || s_type === "RUNNING";
}

/** Whether the run's time has come. */
export function isDue({ row, now }: Situation): boolean {
  return row.due === null || row.due <= now;
}

/** The run's pool, as facts name it. */
export function inPool({ p_id, p_name }: WhyRow) {
  return p_id === null || p_name === null ? null : { work_pool_id: p_id, work_pool_name: p_name };
}

/** The run's queue, as facts name it. */
export function inQueue(row: WhyRow) {
  const pool = inPool(row);
  return pool === null || row.q_id === null || row.q_name === null
    ? null
    : { ...pool, work_queue_id: row.q_id, work_queue_name: row.q_name };
}

/** The run's deployment, as facts name it. */
export function ofDeployment({ deployment_id, d_name }: WhyRow) {
  return deployment_id === null || d_name === null ? null : { deployment_id, deployment_name: d_name };
}

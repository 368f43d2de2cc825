/** What D1 and the objects know of a run, and what several reasons ask of it. Pure. */
import type { Micros } from "#lib/clock";
import type { Usage } from "#objects/concurrency-limits/messages";
import type { PlaceInQueue } from "#objects/work-pool/messages";
import type { NamedRun, WhyRow, WhyRows } from "#resources/flow-runs/why/rows";
import { printOptionalTime } from "#wire/dates";
import type { State } from "#wire/state";

/** What D1 and the objects know of one run. */
export interface Situation extends Omit<WhyRows, "underWay"> {
  now: Micros;
  state: State | null;
  /** Whether the run's pool is of a type that has no workers. */
  isWorkerless: boolean;
  /** How the run stands in its pool; null where the run is in no pool. */
  standing: PlaceInQueue | null;
  /** The slots of the run's limits, by the limits' ids. */
  usage: Readonly<Record<string, Usage>>;
  /** The runs that may hold slots, by their ids. */
  names: ReadonlyMap<string, NamedRun>;
  /** How long the run may stay Pending without a sign of life before it is scheduled anew; null where it never is. */
  patienceSeconds: number | null;
}

/** Whether the run has ever run. Prefect: a run that ended without running has a start as well, its end. */
export function hasStarted({ run_count, s_type }: WhyRow): boolean {
  return run_count > 0 || s_type === "RUNNING";
}

/** Whether the run's time has come. */
export function isDue({ row, now }: Situation): boolean {
  return row.due === null || row.due <= now;
}

/** The time of the run's present state, for a reason's `since`. */
export function stateSince(_facts: unknown, { state }: Situation): string | null {
  return printOptionalTime(state?.timestamp);
}

/** The message of the run's present state in brackets, or nothing. */
export function stateMessage({ state }: Situation): string {
  return state?.message ? ` (${state.message.replace(/\.$/, "")})` : "";
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

/** The id of the run's deployment if the deployment was deleted: the run's label keeps the id that the run's row loses. */
export function deletedDeploymentId({ deployment_id, origin_id, d_name }: WhyRow): string | null {
  return d_name === null ? (deployment_id ?? origin_id) : null;
}

/**
 * `GET /flow_runs/{id}/why`: one read of D1, and one call of each object that knows more. A second read names those who hold
 * slots of a full limit otherwise than as its deployments' runs.
 */
import { notFound } from "#lib/api-error";
import { readUsage } from "#objects/concurrency-limits/client";
import { isWorkerless, workPool } from "#objects/work-pool/client";
import type { PlaceInQueue } from "#objects/work-pool/messages";
import { stateOf } from "#db/rows/flow-runs";
import { readNames, readWhyRows, type WhyRow, type WhyRows } from "#resources/flow-runs/why-facts";
import { findReasons } from "#resources/flow-runs/why-reasons";
import type { Why } from "#resources/flow-runs/why-schema";
import { hasStarted, type Situation } from "#resources/flow-runs/why-situation";
import type { Tools } from "#tools";
import { printTime } from "#wire/dates";

/** Why the run has not started. Throws 404 for an unknown one. */
export async function explainFlowRun(tools: Tools, id: string): Promise<Why> {
  const rows = await readWhyRows(tools, id, tools.clock());
  if (!rows) throw notFound("Flow run");
  const situation = await look(tools, rows);
  const { state, row } = situation;
  const [first, ...others] = findReasons(situation);
  if (!first) throw new Error("no reason was found");
  return {
    flow_run_id: row.id,
    state: state && { type: state.type, name: state.name, timestamp: printTime(state.timestamp) },
    started: hasStarted(row),
    reasons: [first, ...others].map(({ reason }) => reason),
    next: first.next,
  };
}

async function look(tools: Tools, { underWay, ...rows }: WhyRows): Promise<Situation> {
  const [standing, usage] = await Promise.all([standingOf(tools, rows.row), readUsage(tools, limitsOf(rows))]);
  const names = new Map(underWay.map((run) => [run.id, run]));
  const holders = Object.values(usage).flatMap(({ leases }) => leases.flatMap(({ holder }) => holder ?? []));
  const strangers = holders.map((holder) => holder.id).filter((id) => !names.has(id));
  if (strangers.length > 0) for (const run of await readNames(tools, strangers)) names.set(run.id, run);
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

/** Only what is about to start is asked for at its pool. */
async function standingOf(tools: Tools, row: WhyRow): Promise<PlaceInQueue | null> {
  const { p_id, p_name, q_id, s_type } = row;
  if (p_id === null || p_name === null || q_id === null || (s_type !== "SCHEDULED" && s_type !== "PENDING"))
    return null;
  return workPool(tools, p_name).placeInQueue(p_id, { id: row.id, queue_id: q_id, due: row.due ?? tools.clock() });
}

/** How long the run may stay Pending without a sign of life. */
function patienceOf({ settings }: Tools, row: WhyRow): number | null {
  const { enabled, pending_seconds, infrastructure_pending_seconds } = settings.services.lazarus;
  const isNobodys = row.deployment_id === null && row.q_id === null;
  if (!enabled || isNobodys || row.d_lazarus !== 1) return null;
  return row.infrastructure_pid === null ? pending_seconds : infrastructure_pending_seconds;
}

function limitsOf({ row, tagged }: Pick<WhyRows, "row" | "tagged">): string[] {
  if (row.s_type === "RUNNING") return [...new Set(tagged.map(({ limit_id }) => limit_id))];
  return row.s_type === "SCHEDULED" && row.c_id !== null && row.c_active === 1 ? [row.c_id] : [];
}

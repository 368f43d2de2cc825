/** Operations on all flow runs that a filter finds. */
import { sql } from "drizzle-orm";
import { isPassing } from "#db/database";
import { flow_run } from "#db/tables/flow-run";
import { type Filters, whereClause } from "#filters/joins";
import { orderBy } from "#filters/sorts";
import { ApiError } from "#lib/api-error";
import { chunks } from "#lib/chunks";
import { log } from "#lib/log";
import { printResult } from "#orchestration/result";
import { setFlowRunState } from "#orchestration/set-flow-run-state";
import type { Tools } from "#tools";
import type { StateProposal } from "#wire/state";

/** How many runs are given a state at the same time. */
const AT_ONCE = 10;

/** Gives the ids of the runs that the filter finds, at most `limit`. */
export async function findFlowRuns(tools: Tools, filter: Filters["flow_runs"], limit: number): Promise<string[]> {
  const where = whereClause("flow_runs", { flow_runs: filter }, tools.workspaceId);
  const rows = await tools.db.rows<{ id: string }>(
    sql`select ${flow_run.id} as id from ${flow_run} where ${where} order by ${orderBy("flow_runs", "ID_DESC")} limit ${limit}`,
  );
  return rows.map(({ id }) => id);
}

/** Proposes a state for each of the runs. Gives the results in the runs' order. */
export async function setFlowRunStates(tools: Tools, ids: readonly string[], state: StateProposal, force: boolean) {
  const results = [];
  for (const some of chunks(ids, AT_ONCE)) {
    results.push(...(await Promise.all(some.map((id) => setOne(tools, id, state, force)))));
  }
  return results;
}

/** A run that fails does not stop the others. Its result has the reason. */
async function setOne(tools: Tools, id: string, state: StateProposal, force: boolean) {
  try {
    return { flow_run_id: id, ...printResult(await setFlowRunState(tools, id, state, { force })) };
  } catch (error) {
    if (!(error instanceof ApiError))
      log(tools, "error", "the state of a flow run could not be set", { flow_run_id: id, error });
    const reason = reasonOf(error);
    return { flow_run_id: id, state: null, status: "ABORT", details: { type: "abort_details", reason } };
  }
}

function reasonOf(error: unknown): string {
  if (isPassing(error)) return "The database failed, and whether the state was set is not known: read the run.";
  return error instanceof ApiError ? error.message : "Internal Server Error";
}

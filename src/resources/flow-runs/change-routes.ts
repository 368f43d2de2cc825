/** More routes that change or delete flow runs: one run, or all runs that a filter finds. */
import { namedObject } from "#wire/named";
import { sql } from "drizzle-orm";
import * as z from "zod";
import { isPassing } from "#db/database";
import { flow_run } from "#db/tables/flow-run";
import { FilterFields, type Filters, whereClause } from "#filters/joins";
import { orderBy } from "#filters/sorts";
import { embedded, Reply, route } from "#http/route";
import { ApiError, notFound } from "#lib/api-error";
import { chunks } from "#lib/chunks";
import { log } from "#lib/log";
import { OrchestrationResult, printResult } from "#orchestration/result";
import { setFlowRunState } from "#orchestration/set-flow-run-state";
import { deleteRuns } from "#resources/flow-runs/archived-removal";
import { resumeFlowRun } from "#resources/flow-runs/resume";
import { addLabels } from "#resources/flow-runs/update-flow-run";
import type { Tools } from "#tools";
import { UuidText } from "#wire/ids";
import { BulkLimit } from "#wire/paging";
import { Bool, JsonObject, Labels } from "#wire/scalars";
import { StateCreate, type StateProposal } from "#wire/state";

/** How many runs get a state at the same time. */
const AT_ONCE = 10;

const { flow_runs } = FilterFields;

const FlowRunBulkDeleteResponse = namedObject("FlowRunBulkDeleteResponse", { deleted: z.array(UuidText) });
const FlowRunOrchestrationResult = namedObject("FlowRunOrchestrationResult", {
  flow_run_id: UuidText,
  ...OrchestrationResult.shape,
});
const FlowRunBulkSetStateResponse = namedObject("FlowRunBulkSetStateResponse", {
  results: z.array(FlowRunOrchestrationResult),
});

export const flowRunChangeRoutes = [
  route(
    {
      method: "POST",
      path: "/flow_runs/bulk_delete",
      summary: "Delete the flow runs that a filter finds.",
      body: embedded({ flow_runs, limit: BulkLimit }),
      response: FlowRunBulkDeleteResponse,
    },
    async ({ body, tools }) => {
      const found = await findFlowRuns(tools, body.flow_runs, body.limit);
      // A filter finds runs in D1. Archived runs are deleted if they are asked for by their ids alone.
      const ids = [...new Set([...found, ...idsAlone(body.flow_runs)])].slice(0, body.limit);
      return { deleted: await deleteRuns(tools, ids) };
    },
  ),
  route(
    {
      method: "POST",
      path: "/flow_runs/bulk_set_state",
      summary: "Propose a state for each of the flow runs that a filter finds.",
      body: embedded({ flow_runs, state: StateCreate, force: Bool.default(false), limit: BulkLimit }),
      response: FlowRunBulkSetStateResponse,
    },
    async ({ body, tools }) => {
      const ids = await findFlowRuns(tools, body.flow_runs, body.limit);
      return { results: await setFlowRunStates(tools, ids, body.state, body.force) };
    },
  ),
  route(
    {
      method: "POST",
      path: "/flow_runs/{id:uuid}/resume",
      summary: "Resume a paused flow run.",
      body: embedded({ run_input: JsonObject.nullish() }),
      otherStatus: 201,
      response: OrchestrationResult,
      errors: [400, 409],
    },
    async ({ params, body, tools }) => {
      const { answer, status } = await resumeFlowRun(tools, params.id, body.run_input ?? {});
      return new Reply(answer, status);
    },
  ),
  route(
    {
      method: "PATCH",
      path: "/flow_runs/{id:uuid}/labels",
      summary: "Add to the labels of a flow run.",
      // Prefect accepts any value, but then cannot show the run.
      body: Labels,
      status: 204,
    },
    ({ params, body, tools }) => addLabels(tools, params.id, body),
  ),
  route(
    { method: "DELETE", path: "/flow_runs/{id:uuid}", summary: "Delete a flow run.", status: 204 },
    async ({ params, tools }) => {
      const deleted = await deleteRuns(tools, [params.id]);
      if (deleted.length === 0) throw notFound("Flow run");
    },
  ),
];

/** Gives the ids of the runs that the filter finds, at most `limit`. */
async function findFlowRuns(tools: Tools, filter: Filters["flow_runs"], limit: number): Promise<string[]> {
  const where = whereClause("flow_runs", { flow_runs: filter }, tools.workspaceId);
  const rows = await tools.db.rows<{ id: string }>(
    sql`select ${flow_run.id} as id from ${flow_run} where ${where} order by ${orderBy("flow_runs", "ID_DESC")} limit ${limit}`,
  );
  return rows.map(({ id }) => id);
}

/** The ids in a filter that has no other criterion. */
function idsAlone(filter: Filters["flow_runs"]): readonly string[] {
  const { id, operator: _, ...others } = filter ?? {};
  const isAlone =
    !id?.not_any_ && Object.values(others).every((criterion) => criterion === null || criterion === undefined);
  return isAlone ? (id?.any_ ?? []) : [];
}

/** Proposes a state for each of the runs. Gives the results in the runs' order. */
async function setFlowRunStates(tools: Tools, ids: readonly string[], state: StateProposal, force: boolean) {
  const results = [];
  for (const some of chunks(ids, AT_ONCE)) {
    results.push(...(await Promise.all(some.map((id) => setOne(tools, id, state, force)))));
  }
  return results;
}

/** If the state of one run cannot be set, the result of that run has the reason. The other runs are not affected. */
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

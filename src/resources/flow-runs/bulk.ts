/** POST /flow_runs/bulk_delete and bulk_set_state: what a filter finds, at most 50 runs at once. */
import { sql } from "drizzle-orm";
import { z } from "zod";
import { flow_run } from "#db/tables/flow-run";
import { FilterFields } from "#filters/bodies";
import type { FlowRunFilter } from "#filters/flow-runs";
import { whereClause } from "#filters/joins";
import { orderBy } from "#filters/sorts";
import { embedded, route } from "#http/route";
import { ApiError } from "#lib/api-error";
import { OrchestrationResult, printResult } from "#orchestration/result";
import { setFlowRunState } from "#orchestration/set-flow-run-state";
import { deleteFlowRuns } from "#resources/flow-runs/delete-flow-run";
import type { Tools } from "#tools";
import { UuidText } from "#wire/ids";
import { BulkLimit } from "#wire/paging";
import { StateCreate } from "#wire/state";

/** How many runs are given their state at a time. */
const AT_ONCE = 10;
const { flow_runs } = FilterFields;

const FlowRunBulkDeleteResponse = z.object({ deleted: z.array(UuidText) }).meta({ id: "FlowRunBulkDeleteResponse" });
const FlowRunOrchestrationResult = z
  .object({ flow_run_id: UuidText, ...OrchestrationResult.shape })
  .meta({ id: "FlowRunOrchestrationResult" });
const FlowRunBulkSetStateResponse = z
  .object({ results: z.array(FlowRunOrchestrationResult) })
  .meta({ id: "FlowRunBulkSetStateResponse" });

export const flowRunBulkRoutes = [
  route(
    {
      method: "POST",
      path: "/flow_runs/bulk_delete",
      summary: "Delete the flow runs that a filter finds.",
      body: embedded({ flow_runs, limit: BulkLimit }),
      response: FlowRunBulkDeleteResponse,
    },
    async ({ body, tools }) => ({ deleted: await deleteFlowRuns(tools, await findRuns(tools, body)) }),
  ),
  route(
    {
      method: "POST",
      path: "/flow_runs/bulk_set_state",
      summary: "Propose a state for each of the flow runs that a filter finds.",
      body: embedded({ flow_runs, state: StateCreate, force: z.boolean().default(false), limit: BulkLimit }),
      response: FlowRunBulkSetStateResponse,
    },
    async ({ body, tools }) => {
      const ids = await findRuns(tools, body);
      const results = [];
      for (let from = 0; from < ids.length; from += AT_ONCE) {
        results.push(...(await Promise.all(ids.slice(from, from + AT_ONCE).map((id) => setOne(tools, id, body)))));
      }
      return { results };
    },
  ),
];

async function findRuns(tools: Tools, body: { flow_runs?: FlowRunFilter | null; limit: number }): Promise<string[]> {
  const where = whereClause("flow_runs", { flow_runs: body.flow_runs }, tools.workspaceId);
  const rows = await tools.db.rows<{ id: string }>(
    sql`select ${flow_run.id} as id from ${flow_run} where ${where} order by ${orderBy("flow_runs", "ID_DESC")} limit ${body.limit}`,
  );
  return rows.map(({ id }) => id);
}

/** A run that fails does not keep the others from their states; its result says why. */
async function setOne(
  tools: Tools,
  id: string,
  { state, force }: { state: z.output<typeof StateCreate>; force: boolean },
) {
  try {
    return { flow_run_id: id, ...printResult(await setFlowRunState(tools, id, state, { force })) };
  } catch (error) {
    if (!(error instanceof ApiError)) console.error(`the state of flow run ${id} could not be set`, error);
    const reason = error instanceof ApiError ? error.message : "Internal Server Error";
    return { flow_run_id: id, state: null, status: "ABORT", details: { type: "abort_details", reason } };
  }
}

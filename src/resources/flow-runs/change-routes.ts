/** The routes that change or delete flow runs beside the main ones: one by one, or all that a filter finds. */
import * as z from "zod";
import { FilterFields } from "#filters/joins";
import { embedded, Reply, route } from "#http/route";
import { notFound } from "#lib/api-error";
import { OrchestrationResult } from "#orchestration/result";
import { findFlowRuns, setFlowRunStates } from "#resources/flow-runs/bulk";
import { deleteFlowRuns } from "#resources/flow-runs/delete-flow-run";
import { resumeFlowRun } from "#resources/flow-runs/resume";
import { addLabels } from "#resources/flow-runs/update-flow-run";
import { UuidText } from "#wire/ids";
import { BulkLimit } from "#wire/paging";
import { Bool, JsonObject, Labels } from "#wire/scalars";
import { StateCreate } from "#wire/state";

const { flow_runs } = FilterFields;

const FlowRunBulkDeleteResponse = z.object({ deleted: z.array(UuidText) }).meta({ id: "FlowRunBulkDeleteResponse" });
const FlowRunOrchestrationResult = z
  .object({ flow_run_id: UuidText, ...OrchestrationResult.shape })
  .meta({ id: "FlowRunOrchestrationResult" });
const FlowRunBulkSetStateResponse = z
  .object({ results: z.array(FlowRunOrchestrationResult) })
  .meta({ id: "FlowRunBulkSetStateResponse" });

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
      const ids = await findFlowRuns(tools, body.flow_runs, body.limit);
      return { deleted: await deleteFlowRuns(tools, ids) };
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
      // The original takes any value, and can then no longer show the run.
      body: Labels,
      status: 204,
    },
    ({ params, body, tools }) => addLabels(tools, params.id, body),
  ),
  route(
    { method: "DELETE", path: "/flow_runs/{id:uuid}", summary: "Delete a flow run.", status: 204 },
    async ({ params, tools }) => {
      const deleted = await deleteFlowRuns(tools, [params.id]);
      if (deleted.length === 0) throw notFound("Flow run");
    },
  ),
];

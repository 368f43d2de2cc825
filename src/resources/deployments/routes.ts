/** The routes under /deployments. */
import * as z from "zod";
import { type FilterBody, FilterFields, toFilters, whereClause } from "#filters/joins";
import { DeploymentSort, orderBy } from "#filters/sorts";
import { listRoutes } from "#http/list-routes";
import { Listing } from "#http/listing";
import { embedded, Reply, route } from "#http/route";
import { notFound } from "#lib/api-error";
import { mapPortions } from "#lib/portions";
import { addSchedules, removeSchedule, setPaused, updateSchedule } from "#resources/deployments/change-schedules";
import { createFromDeployment, createManyFromDeployment } from "#resources/deployments/create-flow-run";
import { deleteDeployments } from "#resources/deployments/removals";
import { scheduleDeployment } from "#resources/deployments/materialise";
import { pollDeployments } from "#resources/deployments/poll";
import { readDeployment, showDeployment, showDeployments } from "#resources/deployments/read-deployment";
import {
  DeploymentBulkDeleteResponse,
  DeploymentCreate,
  DeploymentFlowRunCreate,
  DeploymentResponse,
  DeploymentSchedule,
  DeploymentScheduleCreate,
  MOST_SCHEDULES,
  DeploymentScheduleUpdate,
  DeploymentUpdate,
  FlowRunBulkCreateResponse,
  ScheduleWindow,
} from "#resources/deployments/schema";
import { DeploymentStore, printSchedule, schedulesOf } from "#resources/deployments/store";
import { createDeployment, updateDeployment } from "#resources/deployments/write-deployment";
import { readAsPinned } from "#resources/deployments/versions";
import { checkWorkQueues } from "#resources/deployments/work-queue";
import { FlowRunResponse } from "#wire/runs";
import { printFlowRun } from "#db/rows/flow-runs";
import { WorkQueueResponse } from "#resources/work-pools/schema";
import type { Tools } from "#tools";
import { Time } from "#wire/dates";
import { Uuid } from "#wire/ids";
import { BulkLimit, checkLimit, Limit, Offset } from "#wire/paging";

const where = (tools: Tools, body: FilterBody) => whereClause("deployments", toFilters(body), tools.workspaceId);

export const deploymentRoutes = [
  route(
    {
      method: "POST",
      path: "/deployments/",
      summary: "Create a deployment, or update the one of the same flow and name.",
      body: DeploymentCreate,
      status: 201,
      otherStatus: 200,
      response: DeploymentResponse,
      errors: [404, 409],
    },
    async ({ body, tools }) => {
      const { row, created } = await createDeployment(tools, body);
      return new Reply(await showDeployment(tools, row), created ? 201 : 200);
    },
  ),
  route(
    {
      method: "PATCH",
      path: "/deployments/{id:uuid}",
      summary: "Update a deployment.",
      body: DeploymentUpdate,
      status: 204,
      errors: [400, 409],
    },
    ({ params, body, tools }) => updateDeployment(tools, params.id, body),
  ),
  route(
    {
      method: "GET",
      path: "/deployments/name/{flow_name}/{deployment_name}",
      summary: "Read a deployment by the name of its flow and its own name.",
      response: DeploymentResponse,
    },
    async ({ params, tools }) =>
      showDeployment(tools, await readDeployment(tools, { flowName: params.flow_name, name: params.deployment_name })),
  ),
  route(
    { method: "GET", path: "/deployments/{id:uuid}", summary: "Read a deployment.", response: DeploymentResponse },
    async ({ params, tools, request }) => showDeployment(tools, await readAsPinned(tools, params.id, request)),
  ),
  ...listRoutes({
    path: "/deployments",
    things: "deployments",
    body: { limit: Limit, offset: Offset, ...FilterFields, sort: DeploymentSort.default("NAME_ASC") },
    item: DeploymentResponse,
    async list({ body, tools }, { limit, offset }) {
      const store = new DeploymentStore(tools);
      const rows = await store.list(where(tools, body), orderBy("deployments", body.sort), limit, offset);
      return mapPortions(store.inFull(rows), (some) => showDeployments(tools, some));
    },
    count: ({ body, tools }) => new DeploymentStore(tools).count(where(tools, body)),
    paginated: "DeploymentPaginationResponse",
  }),
  route(
    {
      method: "POST",
      path: "/deployments/get_scheduled_flow_runs",
      summary: "Read the scheduled runs of deployments, by the time they are due.",
      body: embedded({ deployment_ids: z.array(Uuid), scheduled_before: Time.nullish(), limit: Limit }),
      response: z.array(FlowRunResponse),
    },
    async ({ body, tools }) => {
      const poll = {
        deploymentIds: body.deployment_ids,
        before: body.scheduled_before ?? null,
        limit: checkLimit(body.limit),
      };
      const runs = await pollDeployments(tools, poll);
      const now = tools.clock();
      return new Listing(mapPortions(runs, (some) => some.map((run) => printFlowRun(run, now))));
    },
  ),
  route(
    { method: "DELETE", path: "/deployments/{id:uuid}", summary: "Delete a deployment.", status: 204 },
    async ({ params, tools }) => {
      const deleted = await deleteDeployments(tools, [await readDeployment(tools, params)]);
      if (deleted.length === 0) throw notFound("Deployment");
    },
  ),
  route(
    {
      method: "POST",
      path: "/deployments/bulk_delete",
      summary: "Delete the deployments that a filter finds.",
      body: embedded({ deployments: FilterFields.deployments, limit: BulkLimit }),
      response: DeploymentBulkDeleteResponse,
    },
    async ({ body, tools }) => {
      const order = orderBy("deployments", "NAME_ASC");
      const rows = await new DeploymentStore(tools).list(where(tools, body), order, body.limit, 0);
      return { deleted: await deleteDeployments(tools, rows) };
    },
  ),
  route(
    {
      method: "POST",
      path: "/deployments/{id:uuid}/schedule",
      summary: "Create the runs that a deployment's schedules have within a window of time.",
      body: embedded(ScheduleWindow),
      response: z.null(),
    },
    ({ params, body, tools }) => scheduleDeployment(tools, params.id, body),
  ),
  route(
    {
      method: "POST",
      path: "/deployments/{id:uuid}/resume_deployment",
      summary: "Resume a paused deployment.",
      response: z.null(),
      errors: [422],
    },
    ({ params, tools }) => setPaused(tools, params.id, false),
  ),
  route(
    {
      method: "POST",
      path: "/deployments/{id:uuid}/pause_deployment",
      summary: "Pause a deployment.",
      response: z.null(),
    },
    ({ params, tools }) => setPaused(tools, params.id, true),
  ),
  route(
    {
      method: "POST",
      path: "/deployments/{id:uuid}/create_flow_run",
      summary: "Create a flow run of a deployment.",
      body: DeploymentFlowRunCreate,
      status: 201,
      otherStatus: 200,
      response: FlowRunResponse,
      errors: [400, 409],
    },
    async ({ params, body, tools }) => {
      const { run, created } = await createFromDeployment(tools, params.id, body);
      return new Reply(printFlowRun(run, tools.clock()), created ? 201 : 200);
    },
  ),
  route(
    {
      method: "POST",
      path: "/deployments/{id:uuid}/create_flow_run/bulk",
      summary: "Create several flow runs of a deployment.",
      body: z.array(DeploymentFlowRunCreate),
      response: FlowRunBulkCreateResponse,
      errors: [400, 409],
    },
    async ({ params, body, tools }) => ({ results: await createManyFromDeployment(tools, params.id, body) }),
  ),
  route(
    {
      method: "GET",
      path: "/deployments/{id:uuid}/work_queue_check",
      summary: "Read the work queues that would pick up a deployment's runs.",
      response: z.array(
        WorkQueueResponse.omit({ work_pool_name: true, status: true, active_slots: true }).meta({ id: "WorkQueue" }),
      ),
    },
    ({ params, tools }) => checkWorkQueues(tools, params.id),
  ),
  route(
    {
      method: "GET",
      path: "/deployments/{id:uuid}/schedules",
      summary: "Read a deployment's schedules.",
      response: z.array(DeploymentSchedule),
    },
    async ({ params, tools }) =>
      schedulesOf(await readDeployment(tools, params, "Deployment not found.")).map(printSchedule),
  ),
  route(
    {
      method: "POST",
      path: "/deployments/{id:uuid}/schedules",
      summary: "Add schedules to a deployment.",
      body: z.array(DeploymentScheduleCreate).max(MOST_SCHEDULES),
      status: 201,
      response: z.array(DeploymentSchedule),
      errors: [409],
    },
    async ({ params, body, tools }) => (await addSchedules(tools, params.id, body)).map(printSchedule),
  ),
  route(
    {
      method: "PATCH",
      path: "/deployments/{id:uuid}/schedules/{schedule_id:uuid}",
      summary: "Update a schedule.",
      body: DeploymentScheduleUpdate,
      status: 204,
      errors: [409],
    },
    ({ params, body, tools }) => updateSchedule(tools, params.id, params.schedule_id, body),
  ),
  route(
    {
      method: "DELETE",
      path: "/deployments/{id:uuid}/schedules/{schedule_id:uuid}",
      summary: "Delete a schedule.",
      status: 204,
    },
    ({ params, tools }) => removeSchedule(tools, params.id, params.schedule_id),
  ),
];

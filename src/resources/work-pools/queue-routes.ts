/** The routes under /work_queues, from before there were work pools. */
import { z } from "zod";
import { whereClause } from "#filters/joins";
import { WorkQueueFilter } from "#filters/work-queues";
import { Listing } from "#http/listing";
import { embedded, route } from "#http/route";
import { conflict, missingObject, refused } from "#lib/api-error";
import { mapPortions } from "#lib/portions";
import { readQueueConcurrency } from "#resources/work-pools/concurrency-status";
import { getRunsInQueue } from "#resources/work-pools/get-scheduled-flow-runs";
import { isTaken } from "#resources/work-pools/create-work-pool";
import { printWorkQueue, QUEUE_SLOT_TYPES, WorkPoolStore } from "#resources/work-pools/store";
import { showQueues } from "#resources/work-pools/show";
import { addAgentQueue, AGENT_POOL, changeQueue, removeQueue } from "#resources/work-pools/queues";
import { FlowRunResponse } from "#wire/flow-run";
import {
  WorkQueueConcurrencyStatus,
  WorkQueueCreate,
  WorkQueueResponse,
  WorkQueueStatusDetail,
  WorkQueueUpdate,
} from "#resources/work-pools/queue-schema";
import { readQueueStatus } from "#resources/work-pools/queue-status";
import type { Tools } from "#tools";
import { Time } from "#wire/dates";
import { Uuid } from "#wire/ids";
import { checkLimit, Limit, Offset, Page } from "#wire/paging";

const ById = z.object({ id: Uuid });
const ByName = z.object({ name: z.string() });

const store = (tools: Tools) => new WorkPoolStore(tools.db, tools.workspaceId);
const missing = () => refused(404, "work queue not found");

export const workQueueRoutes = [
  route(
    {
      method: "POST",
      path: "/work_queues/",
      summary: "Create a work queue.",
      body: WorkQueueCreate,
      status: 201,
      response: WorkQueueResponse,
    },
    async ({ body, tools }) => {
      try {
        const queue = await addAgentQueue(tools, body);
        return printWorkQueue({ ...queue, active_slots: queue.concurrency_limit === null ? null : 0 }, null);
      } catch (error) {
        if (isTaken(error)) throw conflict("A work queue with this name already exists.");
        throw error;
      }
    },
  ),
  route(
    {
      method: "GET",
      path: "/work_queues/{id:uuid}",
      summary: "Read a work queue.",
      params: ById,
      response: WorkQueueResponse,
    },
    async ({ params, tools }) => {
      const queue = await store(tools).readCountedQueue(params, QUEUE_SLOT_TYPES);
      if (!queue) throw missing();
      return (await showQueues(tools, [queue]))[0];
    },
  ),
  route(
    {
      method: "GET",
      path: "/work_queues/name/{name}",
      summary: "Read a work queue by its name.",
      params: ByName,
      response: WorkQueueResponse,
    },
    async ({ params, tools }) => {
      const queue = await store(tools).readAgentQueue(params.name, AGENT_POOL);
      if (!queue) throw missing();
      return (await showQueues(tools, [queue]))[0];
    },
  ),
  route(
    {
      method: "POST",
      path: "/work_queues/filter",
      summary: "Query for work queues.",
      body: embedded({ limit: Limit, offset: Offset, work_queues: WorkQueueFilter.nullish() }),
      response: z.array(WorkQueueResponse),
    },
    async ({ body, tools }) => {
      const where = whereClause("work_queues", { work_queues: body.work_queues }, tools.workspaceId);
      const queues = await store(tools).listQueues(
        where,
        "name",
        QUEUE_SLOT_TYPES,
        checkLimit(body.limit),
        body.offset,
      );
      return new Listing(mapPortions(queues, (some) => showQueues(tools, some)));
    },
  ),
  route(
    {
      method: "PATCH",
      path: "/work_queues/{id:uuid}",
      summary: "Update a work queue.",
      params: ById,
      body: WorkQueueUpdate,
      status: 204,
    },
    async ({ params, body, tools }) => {
      const queue = await store(tools).readCountedQueue(params, QUEUE_SLOT_TYPES);
      if (!queue) throw refused(404, `Work Queue ${params.id} not found`);
      // Prefect: by this route a priority is set as it is, and moves nobody.
      await changeQueue(tools, queue, [], body);
    },
  ),
  route(
    { method: "DELETE", path: "/work_queues/{id:uuid}", summary: "Delete a work queue.", params: ById, status: 204 },
    async ({ params, tools }) => {
      const queue = await store(tools).readCountedQueue(params, QUEUE_SLOT_TYPES);
      if (!queue) throw missing();
      const pool = await store(tools).readPoolByName(queue.work_pool_name);
      if (!pool) throw missing();
      await removeQueue(tools, queue, pool, []);
    },
  ),
  route(
    {
      method: "POST",
      path: "/work_queues/{id:uuid}/get_runs",
      summary: "Poll a work queue for runs that are due.",
      params: ById,
      body: embedded({ limit: Limit, scheduled_before: Time.nullish() }),
      response: z.array(FlowRunResponse),
    },
    async ({ params, body, tools, request }) =>
      new Listing(
        await getRunsInQueue(tools, params.id, {
          limit: checkLimit(body.limit),
          before: body.scheduled_before ?? null,
          is_look: request.headers.get("x-prefect-ui")?.toLowerCase() === "true",
        }),
      ),
  ),
  route(
    {
      method: "GET",
      path: "/work_queues/{id:uuid}/status",
      summary: "Read whether a work queue is healthy.",
      params: ById,
      response: WorkQueueStatusDetail,
    },
    async ({ params, tools }) => {
      const status = await readQueueStatus(tools, params.id);
      if (!status) throw missingObject(`Work queue with id ${params.id} not found`);
      return status;
    },
  ),
  route(
    {
      method: "POST",
      path: "/work_queues/{id:uuid}/concurrency_status",
      summary: "Read which runs occupy a work queue's slots.",
      params: ById,
      body: embedded({ page: Page, limit: Limit }),
      response: WorkQueueConcurrencyStatus,
    },
    ({ params, body, tools }) => readQueueConcurrency(tools, params.id, { ...body, limit: checkLimit(body.limit) }),
  ),
];

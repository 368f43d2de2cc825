/** The routes of work queues: the routes under a work pool, and the routes with a queue's own id or name. */
import * as z from "zod";
import { sql } from "drizzle-orm";
import { work_queue } from "#db/tables/work-pool";
import { type Filters, whereClause } from "#filters/joins";
import { workQueueFilter } from "#filters/criteria";
import { listRoutes } from "#http/list-routes";
import { Listing } from "#http/listing";
import { embedded, route } from "#http/route";
import { type ApiError, missingObject, refused } from "#lib/api-error";
import { mapPortions, type Portions } from "#lib/portions";
import { getRunsInQueue } from "#resources/work-pools/get-scheduled-flow-runs";
import {
  type Counted,
  POOL_SLOT_TYPES,
  QUEUE_SLOT_TYPES,
  type QueueWithPool,
  WorkPoolStore,
} from "#resources/work-pools/store";
import { printWorkQueue, readQueueConcurrency, readQueueStatus, showQueues } from "#resources/work-pools/show";
import { addAgentQueue, addQueue, changeQueue, removeQueue } from "#resources/work-pools/queues";
import { findPool, findPoolWithQueues, missingQueue, orTaken } from "#resources/work-pools/pools";
import { FlowRunResponse } from "#wire/runs";
import {
  WorkQueueConcurrencyStatus,
  WorkQueueCreate,
  WorkQueueResponse,
  WorkQueueStatusDetail,
  WorkQueueUpdate,
} from "#resources/work-pools/schema";
import type { Tools } from "#tools";
import { Time } from "#wire/dates";
import { checkLimit, Limit, Offset, Page } from "#wire/paging";
import { Bool } from "#wire/scalars";

const store = (tools: Tools) => new WorkPoolStore(tools);
const missing = () => refused(404, "work queue not found");

/** Shows a queue that was just created. Throws 409 with the text `taken` if the queue's name is taken. */
async function showNew(made: Promise<QueueWithPool>, taken: string) {
  const queue = await orTaken(made, taken);
  return printWorkQueue({ ...queue, active_slots: queue.concurrency_limit === null ? null : 0 }, null);
}

async function show(tools: Tools, queue: Counted<QueueWithPool> | undefined, absent: ApiError) {
  if (!queue) throw absent;
  return (await showQueues(tools, [queue]))[0];
}

const showAll = (tools: Tools, queues: Portions<Counted<QueueWithPool>>) =>
  mapPortions(queues, (some) => showQueues(tools, some));

const where = (tools: Tools, { work_queues }: Pick<Filters, "work_queues">) =>
  whereClause("work_queues", { work_queues }, tools.workspaceId);

const readQueue = (tools: Tools, id: string) => store(tools).readCountedQueue({ id }, QUEUE_SLOT_TYPES);

/** The queue that a path names, with its pool and all queues of the pool. */
async function readInPool(tools: Tools, params: { work_pool_name: string; name: string }) {
  const { pool, queues } = await findPoolWithQueues(tools, params.work_pool_name);
  const queue = queues.find(({ name }) => name === params.name);
  if (!queue) throw missingQueue(params.work_pool_name, params.name);
  return { queue, pool, queues };
}

export const poolQueueRoutes = [
  route(
    {
      method: "POST",
      path: "/work_pools/{work_pool_name}/queues",
      summary: "Create a work queue in a work pool.",
      body: WorkQueueCreate,
      status: 201,
      response: WorkQueueResponse,
      errors: [409],
    },
    async ({ params, body, tools }) => {
      const { pool, queues } = await findPoolWithQueues(tools, params.work_pool_name);
      // Prefect: the name in this text is not filled in.
      const taken = "A work queue with this name already exists in work pool {work_pool_name!r}.";
      return showNew(addQueue(tools, pool, queues, body), taken);
    },
  ),
  route(
    {
      method: "GET",
      path: "/work_pools/{work_pool_name}/queues/{name}",
      summary: "Read a work queue of a work pool.",
      response: WorkQueueResponse,
    },
    async ({ params, tools }) => {
      const { work_pool_name: pool, name } = params;
      const queue = await store(tools).readCountedQueue({ pool, queue: name }, POOL_SLOT_TYPES);
      return show(tools, queue, missingQueue(pool, name));
    },
  ),
  ...listRoutes({
    path: "/work_pools/{work_pool_name}/queues",
    things: "the work queues of a work pool",
    body: { work_queues: workQueueFilter.field, limit: Limit, offset: Offset },
    item: WorkQueueResponse,
    async list({ params, body, tools }, { limit, offset }) {
      const pool = await findPool(tools, params.work_pool_name);
      const own = sql`${where(tools, body)} and ${work_queue.work_pool_id} = ${pool.id}`;
      return showAll(tools, await store(tools).listQueues(own, "priority", POOL_SLOT_TYPES, limit, offset));
    },
  }),
  route(
    {
      method: "PATCH",
      path: "/work_pools/{work_pool_name}/queues/{name}",
      summary: "Update a work queue of a work pool.",
      body: WorkQueueUpdate,
      status: 204,
      errors: [409],
    },
    async ({ params, body, tools }) => {
      const { queue, queues } = await readInPool(tools, params);
      await changeQueue(tools, queue, queues, body);
    },
  ),
  route(
    {
      method: "DELETE",
      path: "/work_pools/{work_pool_name}/queues/{name}",
      summary: "Delete a work queue of a work pool.",
      status: 204,
      errors: [409],
    },
    async ({ params, tools }) => {
      const { queue, pool, queues } = await readInPool(tools, params);
      await removeQueue(tools, queue, pool, queues);
    },
  ),
];

export const workQueueRoutes = [
  route(
    {
      method: "POST",
      path: "/work_queues/",
      summary: "Create a work queue.",
      body: WorkQueueCreate,
      status: 201,
      response: WorkQueueResponse,
      errors: [409],
    },
    ({ body, tools }) => showNew(addAgentQueue(tools, body), "A work queue with this name already exists."),
  ),
  route(
    { method: "GET", path: "/work_queues/{id:uuid}", summary: "Read a work queue.", response: WorkQueueResponse },
    async ({ params, tools }) => show(tools, await readQueue(tools, params.id), missing()),
  ),
  route(
    {
      method: "GET",
      path: "/work_queues/name/{name}",
      summary: "Read a work queue by its name.",
      response: WorkQueueResponse,
    },
    async ({ params, tools }) => show(tools, await store(tools).readAgentQueue(params.name), missing()),
  ),
  ...listRoutes({
    path: "/work_queues",
    things: "work queues",
    body: { limit: Limit, offset: Offset, work_queues: workQueueFilter.field },
    item: WorkQueueResponse,
    list: async ({ body, tools }, { limit, offset }) =>
      showAll(tools, await store(tools).listQueues(where(tools, body), "name", QUEUE_SLOT_TYPES, limit, offset)),
  }),
  route(
    {
      method: "PATCH",
      path: "/work_queues/{id:uuid}",
      summary: "Update a work queue.",
      body: WorkQueueUpdate,
      status: 204,
      errors: [409],
    },
    async ({ params, body, tools }) => {
      const queue = await readQueue(tools, params.id);
      if (!queue) throw refused(404, `Work Queue ${params.id} not found`);
      // Prefect: this route sets the priority as given, and moves no other queue.
      await changeQueue(tools, queue, [], body);
    },
  ),
  route(
    { method: "DELETE", path: "/work_queues/{id:uuid}", summary: "Delete a work queue.", status: 204, errors: [409] },
    async ({ params, tools }) => {
      const queue = await readQueue(tools, params.id);
      const pool = queue && (await store(tools).readPoolByName(queue.work_pool_name));
      if (!queue || !pool) throw missing();
      await removeQueue(tools, queue, pool, []);
    },
  ),
  route(
    {
      method: "POST",
      path: "/work_queues/{id:uuid}/get_runs",
      summary: "Poll a work queue for runs that are due.",
      requestHeaders: z.object({ "x-prefect-ui": Bool.default(false) }),
      body: embedded({ limit: Limit, scheduled_before: Time.nullish() }),
      response: z.array(FlowRunResponse),
    },
    async ({ params, requestHeaders, body, tools }) =>
      new Listing(
        await getRunsInQueue(tools, params.id, {
          limit: checkLimit(body.limit),
          before: body.scheduled_before ?? null,
          is_look: requestHeaders["x-prefect-ui"],
        }),
      ),
  ),
  route(
    {
      method: "GET",
      path: "/work_queues/{id:uuid}/status",
      summary: "Read whether a work queue is healthy.",
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
      body: embedded({ page: Page, limit: Limit }),
      response: WorkQueueConcurrencyStatus,
    },
    ({ params, body, tools }) => readQueueConcurrency(tools, params.id, { ...body, limit: checkLimit(body.limit) }),
  ),
];

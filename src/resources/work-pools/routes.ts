/** The routes under /work_pools. */
import { sql } from "drizzle-orm";
import { z } from "zod";
import { work_queue } from "#db/tables/work-pool";
import { whereClause } from "#filters/joins";
import { WorkerFilter } from "#filters/workers";
import { WorkPoolFilter } from "#filters/work-pools";
import { WorkQueueFilter } from "#filters/work-queues";
import { Listing } from "#http/listing";
import { embedded, route } from "#http/route";
import { conflict, refused } from "#lib/api-error";
import { mapPortions } from "#lib/portions";
import { getScheduledFlowRuns } from "#resources/work-pools/get-scheduled-flow-runs";
import { readPoolConcurrency } from "#resources/work-pools/concurrency-status";
import { createWorkPool, isTaken } from "#resources/work-pools/create-work-pool";
import {
  WorkerFlowRunResponse,
  WorkerResponse,
  WorkPoolConcurrencyStatus,
  WorkPoolCreate,
  WorkPoolResponse,
  WorkPoolUpdate,
} from "#resources/work-pools/schema";
import { POOL_SLOT_TYPES, printWorkQueue, WorkPoolStore } from "#resources/work-pools/store";
import { showPools, showQueues } from "#resources/work-pools/show";
import { deleteWorkPool, missingPool, updateWorkPool } from "#resources/work-pools/update-work-pool";
import { listWorkers, recordHeartbeat, removeWorker } from "#resources/work-pools/workers";
import { addQueue, changeQueue, removeQueue } from "#resources/work-pools/queues";
import { WorkQueueCreate, WorkQueueResponse, WorkQueueUpdate } from "#resources/work-pools/queue-schema";
import type { Tools } from "#tools";
import { checkLimit, Limit, Offset, Page } from "#wire/paging";
import { Time } from "#wire/dates";
import { Int, intFrom } from "#wire/scalars";
import { listOf, ShortText } from "#wire/sizes";

const ByName = z.object({ name: z.string() });
const InPool = z.object({ work_pool_name: z.string() });
const QueueInPool = z.object({ work_pool_name: z.string(), name: z.string() });

const store = (tools: Tools) => new WorkPoolStore(tools.db, tools.workspaceId);

const missingQueue = ({ work_pool_name, name }: z.output<typeof QueueInPool>) =>
  refused(404, `Work pool queue '${work_pool_name}/${name}' not found.`);

export const workPoolRoutes = [
  route(
    {
      method: "POST",
      path: "/work_pools/",
      summary: "Create a work pool.",
      body: WorkPoolCreate,
      status: 201,
      response: WorkPoolResponse,
    },
    ({ body, tools }) => createWorkPool(tools, body),
  ),
  route(
    {
      method: "GET",
      path: "/work_pools/{name}",
      summary: "Read a work pool.",
      params: ByName,
      response: WorkPoolResponse,
    },
    async ({ params, tools }) => {
      const pool = await store(tools).readCountedPool(params.name);
      if (!pool) throw missingPool(params.name);
      return (await showPools(tools, [pool]))[0];
    },
  ),
  route(
    {
      method: "POST",
      path: "/work_pools/filter",
      summary: "Query for work pools.",
      body: embedded({ work_pools: WorkPoolFilter.nullish(), limit: Limit, offset: Offset }),
      response: z.array(WorkPoolResponse),
    },
    async ({ body, tools }) => {
      const where = whereClause("work_pools", { work_pools: body.work_pools }, tools.workspaceId);
      const pools = await store(tools).listPools(where, checkLimit(body.limit), body.offset);
      return new Listing(mapPortions(pools, (some) => showPools(tools, some)));
    },
  ),
  route(
    {
      method: "POST",
      path: "/work_pools/count",
      summary: "Count work pools.",
      body: embedded({ work_pools: WorkPoolFilter.nullish() }),
      response: z.int(),
    },
    ({ body, tools }) =>
      store(tools).countPools(whereClause("work_pools", { work_pools: body.work_pools }, tools.workspaceId)),
  ),
  route(
    {
      method: "PATCH",
      path: "/work_pools/{name}",
      summary: "Update a work pool.",
      params: ByName,
      body: WorkPoolUpdate,
      status: 204,
    },
    ({ params, body, tools }) => updateWorkPool(tools, params.name, body),
  ),
  route(
    { method: "DELETE", path: "/work_pools/{name}", summary: "Delete a work pool.", params: ByName, status: 204 },
    ({ params, tools }) => deleteWorkPool(tools, params.name),
  ),
  route(
    {
      method: "POST",
      path: "/work_pools/{name}/concurrency_status",
      summary: "Read which runs occupy a work pool's slots.",
      params: ByName,
      body: embedded({ page: Page, limit: Limit, flow_run_limit: intFrom(0).pipe(z.number().max(200)).default(10) }),
      response: WorkPoolConcurrencyStatus,
    },
    ({ params, body, tools }) => readPoolConcurrency(tools, params.name, { ...body, limit: checkLimit(body.limit) }),
  ),
  route(
    {
      method: "POST",
      path: "/work_pools/{name}/get_scheduled_flow_runs",
      summary: "Poll a work pool for runs that are due.",
      params: ByName,
      body: embedded({
        work_queue_names: listOf(ShortText, 1_000).nullish(),
        scheduled_before: Time.nullish(),
        scheduled_after: Time.nullish(),
        limit: Limit,
      }),
      response: z.array(WorkerFlowRunResponse),
    },
    async ({ params, body, tools }) =>
      new Listing(
        await getScheduledFlowRuns(tools, params.name, {
          queues: body.work_queue_names?.length ? body.work_queue_names : null,
          before: body.scheduled_before ?? null,
          after: body.scheduled_after ?? null,
          limit: checkLimit(body.limit),
        }),
      ),
  ),
  route(
    {
      method: "POST",
      path: "/work_pools/{work_pool_name}/queues",
      summary: "Create a work queue in a work pool.",
      params: InPool,
      body: WorkQueueCreate,
      status: 201,
      response: WorkQueueResponse,
    },
    async ({ params, body, tools }) => {
      const { pool, queues } = await store(tools).readPoolWithQueues(params.work_pool_name);
      if (!pool) throw missingPool(params.work_pool_name);
      try {
        const queue = await addQueue(tools, pool, queues, body);
        return printWorkQueue({ ...queue, active_slots: queue.concurrency_limit === null ? null : 0 }, null);
      } catch (error) {
        // Prefect: this text is not filled in.
        if (isTaken(error))
          throw conflict("A work queue with this name already exists in work pool {work_pool_name!r}.");
        throw error;
      }
    },
  ),
  route(
    {
      method: "GET",
      path: "/work_pools/{work_pool_name}/queues/{name}",
      summary: "Read a work queue of a work pool.",
      params: QueueInPool,
      response: WorkQueueResponse,
    },
    async ({ params, tools }) => {
      const queue = await store(tools).readCountedQueue(
        { pool: params.work_pool_name, queue: params.name },
        POOL_SLOT_TYPES,
      );
      if (!queue) throw missingQueue(params);
      return (await showQueues(tools, [queue]))[0];
    },
  ),
  route(
    {
      method: "POST",
      path: "/work_pools/{work_pool_name}/queues/filter",
      summary: "Query for the work queues of a work pool.",
      params: InPool,
      body: embedded({ work_queues: WorkQueueFilter.nullish(), limit: Limit, offset: Offset }),
      response: z.array(WorkQueueResponse),
    },
    async ({ params, body, tools }) => {
      const limit = checkLimit(body.limit);
      const pool = await store(tools).readPoolByName(params.work_pool_name);
      if (!pool) throw missingPool(params.work_pool_name);
      const where = whereClause("work_queues", { work_queues: body.work_queues }, tools.workspaceId);
      const own = sql`${where} and ${work_queue.work_pool_id} = ${pool.id}`;
      const queues = await store(tools).listQueues(own, "priority", POOL_SLOT_TYPES, limit, body.offset);
      return new Listing(mapPortions(queues, (some) => showQueues(tools, some)));
    },
  ),
  route(
    {
      method: "PATCH",
      path: "/work_pools/{work_pool_name}/queues/{name}",
      summary: "Update a work queue of a work pool.",
      params: QueueInPool,
      body: WorkQueueUpdate,
      status: 204,
    },
    async ({ params, body, tools }) => {
      const { pool, queues } = await store(tools).readPoolWithQueues(params.work_pool_name);
      if (!pool) throw missingPool(params.work_pool_name);
      const queue = queues.find(({ name }) => name === params.name);
      if (!queue) throw missingQueue(params);
      await changeQueue(tools, queue, queues, body);
    },
  ),
  route(
    {
      method: "DELETE",
      path: "/work_pools/{work_pool_name}/queues/{name}",
      summary: "Delete a work queue of a work pool.",
      params: QueueInPool,
      status: 204,
    },
    async ({ params, tools }) => {
      const { pool, queues } = await store(tools).readPoolWithQueues(params.work_pool_name);
      if (!pool) throw missingPool(params.work_pool_name);
      const queue = queues.find(({ name }) => name === params.name);
      if (!queue) throw missingQueue(params);
      await removeQueue(tools, queue, pool, queues);
    },
  ),
  route(
    {
      method: "POST",
      path: "/work_pools/{work_pool_name}/workers/heartbeat",
      summary: "Say that a worker is alive.",
      params: InPool,
      body: embedded({ name: ShortText, heartbeat_interval_seconds: Int.nullish() }),
      status: 204,
    },
    ({ params, body, tools }) =>
      recordHeartbeat(tools, params.work_pool_name, body.name, body.heartbeat_interval_seconds ?? null),
  ),
  route(
    {
      method: "POST",
      path: "/work_pools/{work_pool_name}/workers/filter",
      summary: "Query for the workers of a work pool.",
      params: InPool,
      body: embedded({ workers: WorkerFilter.nullish(), limit: Limit, offset: Offset }),
      response: z.array(WorkerResponse),
    },
    ({ params, body, tools }) =>
      listWorkers(tools, params.work_pool_name, body.workers, checkLimit(body.limit), body.offset),
  ),
  route(
    {
      method: "DELETE",
      path: "/work_pools/{work_pool_name}/workers/{name}",
      summary: "Forget a worker.",
      params: QueueInPool,
      status: 204,
    },
    ({ params, tools }) => removeWorker(tools, params.work_pool_name, params.name),
  ),
];

/** The routes under /work_pools. The routes of a pool's queues are in `queue-routes.ts`. */
import * as z from "zod";
import { type Filters, whereClause } from "#filters/joins";
import { WorkerFilter } from "#filters/workers";
import { workPoolFilter } from "#filters/criteria";
import { listRoutes } from "#http/list-routes";
import { Listing } from "#http/listing";
import { embedded, route } from "#http/route";
import { socket } from "#http/socket";
import { refused } from "#lib/api-error";
import { mapPortions, whole } from "#lib/portions";
import { workPool, workPoolStub } from "#objects/work-pool/client";
import { getScheduledFlowRuns } from "#resources/work-pools/get-scheduled-flow-runs";
import {
  WorkerFlowRunResponse,
  WorkerResponse,
  WorkPoolConcurrencyStatus,
  WorkPoolCreate,
  WorkPoolResponse,
  WorkPoolUpdate,
} from "#resources/work-pools/schema";
import { WorkPoolStore } from "#resources/work-pools/store";
import { readPoolConcurrency, showPools, showWorkers } from "#resources/work-pools/show";
import { createWorkPool, deleteWorkPool, findPool, missingPool, updateWorkPool } from "#resources/work-pools/pools";
import type { Tools } from "#tools";
import { checkLimit, Limit, Offset, Page } from "#wire/paging";
import { Time } from "#wire/dates";
import { Int, intFrom } from "#wire/scalars";
import { listOf, ShortText } from "#wire/sizes";

const store = (tools: Tools) => new WorkPoolStore(tools);

const where = (tools: Tools, { work_pools }: Pick<Filters, "work_pools">) =>
  whereClause("work_pools", { work_pools }, tools.workspaceId);

export const workPoolRoutes = [
  route(
    {
      method: "POST",
      path: "/work_pools/",
      summary: "Create a work pool.",
      body: WorkPoolCreate,
      status: 201,
      response: WorkPoolResponse,
      errors: [403, 409],
    },
    ({ body, tools }) => createWorkPool(tools, body),
  ),
  route(
    { method: "GET", path: "/work_pools/{name}", summary: "Read a work pool.", response: WorkPoolResponse },
    async ({ params, tools }) => {
      const pool = await store(tools).readCountedPool(params.name);
      if (!pool) throw missingPool(params.name);
      return (await showPools(tools, [pool]))[0];
    },
  ),
  ...listRoutes({
    path: "/work_pools",
    things: "work pools",
    body: { work_pools: workPoolFilter.field, limit: Limit, offset: Offset },
    item: WorkPoolResponse,
    async list({ body, tools }, { limit, offset }) {
      const pools = await store(tools).listPools(where(tools, body), limit, offset);
      return mapPortions(pools, (some) => showPools(tools, some));
    },
    count: ({ body, tools }) => store(tools).countPools(where(tools, body)),
  }),
  route(
    {
      method: "PATCH",
      path: "/work_pools/{name}",
      summary: "Update a work pool.",
      body: WorkPoolUpdate,
      status: 204,
      errors: [403, 409],
    },
    ({ params, body, tools }) => updateWorkPool(tools, params.name, body),
  ),
  route(
    { method: "DELETE", path: "/work_pools/{name}", summary: "Delete a work pool.", status: 204, errors: [403] },
    ({ params, tools }) => deleteWorkPool(tools, params.name),
  ),
  route(
    {
      method: "POST",
      path: "/work_pools/{name}/concurrency_status",
      summary: "Read which runs occupy a work pool's slots.",
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
      path: "/work_pools/{work_pool_name}/workers/heartbeat",
      summary: "Record the heartbeat of a worker.",
      body: embedded({ name: ShortText, heartbeat_interval_seconds: Int.nullish() }),
      status: 204,
    },
    async ({ params: { work_pool_name: pool }, body, tools }) => {
      const seconds = body.heartbeat_interval_seconds ?? null;
      if (!(await workPool(tools, pool).heartbeat(body.name, seconds))) throw missingPool(pool);
    },
  ),
  ...listRoutes({
    path: "/work_pools/{work_pool_name}/workers",
    things: "the workers of a work pool",
    body: { workers: WorkerFilter.nullish(), limit: Limit, offset: Offset },
    item: WorkerResponse,
    async list({ params, body, tools }, part) {
      const pool = await findPool(tools, params.work_pool_name);
      return whole(await showWorkers(tools, pool, body.workers, part));
    },
  }),
  route(
    { method: "DELETE", path: "/work_pools/{work_pool_name}/workers/{name}", summary: "Forget a worker.", status: 204 },
    async ({ params, tools }) => {
      const pool = await findPool(tools, params.work_pool_name);
      const isKnown = await workPool(tools, pool.name).deleteWorker(pool.id, params.name);
      if (!isKnown) throw refused(404, "Worker not found.");
    },
  ),
];

/** The WebSocket of a work pool's workers. The pool's object keeps the connections. */
export const workerSockets = [
  socket("/work_pools/{work_pool_name}/workers/connect", "worker-channel", (env, workspaceId, params) =>
    workPoolStub(env, workspaceId, params["work_pool_name"] ?? ""),
  ),
];

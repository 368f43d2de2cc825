/** POST /flow_runs/history: flow runs counted by interval and state. */
import { z } from "zod";
import { readHistory } from "#db/run-history";
import { flow_run } from "#db/tables/flow-run";
import { FilterFields } from "#filters/bodies";
import { whereClause } from "#filters/joins";
import { embedded, route } from "#http/route";
import { HistoryFields, HistoryResponse, printHistory, windowOf } from "#wire/history";

// Prefect: here, and only here, queues are called `work_queues`.
const { work_pool_queues: work_queues, ...others } = FilterFields;

export const flowRunHistoryRoutes = [
  route(
    {
      method: "POST",
      path: "/flow_runs/history",
      summary: "Count flow runs by interval and state.",
      body: embedded({ ...HistoryFields, ...others, work_queues }),
      response: z.array(HistoryResponse),
    },
    async ({ body, tools }) => {
      const window = windowOf(body);
      const { flows, flow_runs, task_runs, deployments, work_pools, work_queues: queues } = body;
      const filters = { flows, flow_runs, task_runs, deployments, work_pools, work_queues: queues };
      const where = whereClause("flow_runs", filters, tools.workspaceId);
      return printHistory(window, await readHistory(tools.db, flow_run, where, window, tools.clock()));
    },
  ),
];

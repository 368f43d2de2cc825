/** The routes that count flow runs by interval and state, and that measure how late they start. */
import { sql } from "drizzle-orm";
import * as z from "zod";
import { latenessOf } from "#db/run-estimates";
import { selectHistory } from "#db/run-history";
import { flow_run } from "#db/tables/flow-run";
import { FilterFields, toFilters, whereClause } from "#filters/joins";
import { embedded, route } from "#http/route";
import { printDuration } from "#wire/dates";
import { HistoryFields, HistoryResponse, printHistory, windowOf, type HistoryRow } from "#wire/history";

// Prefect: only in the history the filter of queues is `work_queues`.
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
      const filters = toFilters({ ...body, work_pool_queues: body.work_queues });
      const where = whereClause("flow_runs", filters, tools.workspaceId);
      const history = selectHistory(flow_run, where, window, tools.clock());
      return printHistory(window, await tools.db.rows<HistoryRow>(history));
    },
  ),
  route(
    {
      method: "POST",
      path: "/flow_runs/lateness",
      summary: "Read the average lateness of flow runs, in seconds; null where there are none.",
      body: embedded(FilterFields),
      response: z.number().nullable(),
    },
    async ({ body, tools }) => {
      const where = whereClause("flow_runs", toFilters(body), tools.workspaceId);
      const [row] = await tools.db.rows<{ average: number | null }>(
        sql`select avg(${latenessOf(flow_run, tools.clock())}) as average from ${flow_run} where ${where}`,
      );
      return typeof row?.average === "number" ? printDuration(Math.round(row.average)) : null;
    },
  ),
];

/** POST /flow_runs/lateness: how late flow runs begin, on average. */
import { sql } from "drizzle-orm";
import { z } from "zod";
import { latenessOf } from "#db/run-estimates";
import { flow_run } from "#db/tables/flow-run";
import { FilterFields, toFilters } from "#filters/bodies";
import { whereClause } from "#filters/joins";
import { embedded, route } from "#http/route";
import { printDuration } from "#wire/dates";

export const flowRunLatenessRoutes = [
  route(
    {
      method: "POST",
      path: "/flow_runs/lateness",
      summary: "The average lateness of flow runs, in seconds; null where there are none.",
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

/** The routes under /ui/flows: what the user interface shows beside each flow of a list. */
import { sql } from "drizzle-orm";
import * as z from "zod";
import { each } from "#db/sql";
import { deployment } from "#db/tables/deployment";
import { embedded, route } from "#http/route";
import { NextRunStore } from "#resources/ui/next-runs-store";
import { CountById, NamedIds, SimpleNextFlowRun } from "#resources/ui/schema";
import { printTime } from "#wire/dates";

export const uiFlowRoutes = [
  route(
    {
      method: "POST",
      path: "/ui/flows/count-deployments",
      summary: "Count the deployments of flows, by the ids of the flows.",
      body: embedded({ flow_ids: NamedIds }),
      response: CountById,
    },
    async ({ body, tools }) => {
      const counts = await tools.db.rows<{ id: string; count: number }>(sql`select asked.value as id,
        (select count(*) from ${deployment} as d where d.workspace_id = ${tools.workspaceId} and d.flow_id = asked.value)
          as count from ${each(body.flow_ids)} asked`);
      return Object.fromEntries(counts.map(({ id, count }) => [id, count]));
    },
  ),
  route(
    {
      method: "POST",
      path: "/ui/flows/next-runs",
      summary: "Read the next run of each flow, by the ids of the flows; null if none is scheduled.",
      body: embedded({ flow_ids: NamedIds }),
      response: z.record(z.string().meta({ format: "uuid" }), SimpleNextFlowRun.nullable()),
    },
    async ({ body, tools }) => {
      const runs = await new NextRunStore(tools).ofFlows(body.flow_ids, tools.clock());
      const byFlow = new Map(runs.map((run) => [run.flow_id, run]));
      return Object.fromEntries(
        body.flow_ids.map((id) => {
          const run = byFlow.get(id);
          return [id, run ? { ...run, next_scheduled_start_time: printTime(run.next_scheduled_start_time) } : null];
        }),
      );
    },
  ),
];

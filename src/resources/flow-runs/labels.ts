/** PATCH /flow_runs/{id}/labels: labels of a run are added or changed, never removed. */
import { sql } from "drizzle-orm";
import { z } from "zod";
import { flow_run } from "#db/tables/flow-run";
import { route } from "#http/route";
import { missingObject } from "#lib/api-error";
import { Uuid } from "#wire/ids";
import { Labels } from "#wire/scalars";

export const flowRunLabelRoutes = [
  route(
    {
      method: "PATCH",
      path: "/flow_runs/{id:uuid}/labels",
      summary: "Add to the labels of a flow run.",
      params: z.object({ id: Uuid }),
      // The original takes any value, and can then no longer show the run.
      body: Labels,
      status: 204,
    },
    async ({ params, body, tools }) => {
      const { changes } = await tools.db.run(
        sql`update ${flow_run} set labels = json_patch(labels, ${JSON.stringify(body)}), updated = ${tools.clock()}
          where workspace_id = ${tools.workspaceId} and id = ${params.id}`,
      );
      if (changes === 0) throw missingObject(`Flow run with id ${params.id} not found`);
    },
  ),
];

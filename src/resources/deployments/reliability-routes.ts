/** The routes under /deployments/{id}/reliability: what is done about runs that stop or start twice. Prefect has no such routes. */
import { sql } from "drizzle-orm";
import { deployment } from "#db/tables/deployment";
import { route } from "#http/route";
import { notFound } from "#lib/api-error";
import { forgetDeployment } from "#orchestration/recent-runs";
import { readDeployment } from "#resources/deployments/read-deployment";
import type { Tools } from "#tools";
import { DEFAULT_RELIABILITY, readReliability, Reliability, ReliabilityUpdate } from "#wire/deployments";

/** Merges the changes into the column in one statement, so that of two changes at once both are kept. */
async function update(tools: Tools, id: string, changes: Partial<Reliability>): Promise<Reliability> {
  const { rows } = await tools.db.run(
    sql`update ${deployment} set reliability = json_patch(coalesce(reliability, '{}'), ${JSON.stringify(changes)}), updated = ${tools.clock()}
      where workspace_id = ${tools.workspaceId} and id = ${id} returning reliability`,
  );
  if (!rows[0]) throw notFound("Deployment");
  forgetDeployment(tools.workspaceId, id);
  return readReliability(String(rows[0]["reliability"]));
}

export const reliabilityRoutes = [
  route(
    {
      method: "GET",
      path: "/deployments/{id:uuid}/reliability",
      summary: "Read what is done about runs of a deployment that stop or start twice.",
      response: Reliability,
    },
    async ({ params, tools }) => readReliability((await readDeployment(tools, params)).reliability),
  ),
  route(
    {
      method: "PATCH",
      path: "/deployments/{id:uuid}/reliability",
      summary: `Change what is done about runs of a deployment that stop or start twice; by default ${JSON.stringify(DEFAULT_RELIABILITY)}.`,
      body: ReliabilityUpdate,
      response: Reliability,
    },
    ({ params, body, tools }) => update(tools, params.id, body),
  ),
];

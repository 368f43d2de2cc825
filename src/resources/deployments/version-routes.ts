/** The routes under /deployments/{id}/versions. Prefect has no such routes. */
import * as z from "zod";
import { Listing } from "#http/listing";
import { route } from "#http/route";
import { mapPortions } from "#lib/portions";
import { listVersions, readVersion, rollBack, setArchived } from "#resources/deployments/versions";
import { DeploymentVersion, DeploymentVersionSummary } from "#resources/deployments/versions-schema";
import { printVersion, printVersionSummary } from "#resources/deployments/versions-store";
import { checkLimit, Limit, Offset } from "#wire/paging";
import { Bool } from "#wire/scalars";

const VERSIONS = "/deployments/{id:uuid}/versions";
const VERSION = `${VERSIONS}/{version_id:uuid}`;

export const deploymentVersionRoutes = [
  route(
    {
      method: "GET",
      path: VERSIONS,
      summary: "Read a deployment's versions, newest first.",
      query: z.object({ limit: Limit, offset: Offset, archived: Bool.default(false) }),
      response: z.array(DeploymentVersionSummary),
    },
    async ({ params, query, tools }) => {
      const page = { limit: checkLimit(query.limit), offset: query.offset, withArchived: query.archived };
      const versions = await listVersions(tools, params.id, page);
      return new Listing(mapPortions(versions, (rows) => rows.map(printVersionSummary)));
    },
  ),
  route(
    {
      method: "GET",
      path: VERSION,
      summary: "Read a version of a deployment.",
      response: DeploymentVersion,
    },
    async ({ params, tools }) => printVersion((await readVersion(tools, params)).version),
  ),
  route(
    {
      method: "POST",
      path: `${VERSION}/rollback`,
      summary: "Make the content of a version the newest again; the answer is the newest version.",
      response: DeploymentVersion,
      errors: [409, 422],
    },
    async ({ params, tools }) => printVersion(await rollBack(tools, params)),
  ),
  route(
    {
      method: "POST",
      path: `${VERSION}/archive`,
      summary: "Archive a version that is not in use.",
      response: DeploymentVersion,
      errors: [409],
    },
    async ({ params, tools }) => printVersion(await setArchived(tools, params, true)),
  ),
  route(
    {
      method: "POST",
      path: `${VERSION}/unarchive`,
      summary: "Take a version out of the archive.",
      response: DeploymentVersion,
    },
    async ({ params, tools }) => printVersion(await setArchived(tools, params, false)),
  ),
];

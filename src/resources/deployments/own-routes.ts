/** The routes under /deployments that are not in Prefect: versions, missed runs, and runs that stop or start twice. */
import { namedObject } from "#wire/named";
import { sql } from "drizzle-orm";
import * as z from "zod";
import { readOptionalJson } from "#db/database";
import type { ScheduleRow } from "#db/rows/deployments";
import { laterThan } from "#db/sql";
import { deployment, deployment_schedule } from "#db/tables/deployment";
import { Listing } from "#http/listing";
import { route } from "#http/route";
import { notFound } from "#lib/api-error";
import { mapPortions } from "#lib/portions";
import { forgetDeployment } from "#orchestration/recent-runs";
import { readDeployment } from "#resources/deployments/read-deployment";
import { listVersions, readVersion, rollBack, setArchived } from "#resources/deployments/versions";
import { printVersion, printVersionSummary } from "#resources/deployments/versions-store";
import type { Tools } from "#tools";
import {
  DEFAULT_MISSED_RUNS,
  DEFAULT_RELIABILITY,
  MissedRuns,
  missedRunsColumn,
  readReliability,
  Reliability,
  ReliabilityUpdate,
  VersionInfo,
} from "#wire/deployments";
import { TimeText } from "#wire/dates";
import { UuidText } from "#wire/ids";
import { checkLimit, Limit, Offset } from "#wire/paging";
import { Bool, JsonObject, Labels } from "#wire/scalars";

/** A version in a list. */
const DeploymentVersionSummary = namedObject("DeploymentVersionSummary", {
  id: UuidText,
  created: TimeText,
  deployment_id: UuidText,
  ordinal: z.int(),
  is_current: z.boolean(),
  archived: TimeText.nullable(),
  version: z.string().nullable(),
  version_info: VersionInfo.nullable(),
  description: z.string().nullable(),
  entrypoint: z.string().nullable(),
});

/** A version with its whole content. */
const DeploymentVersion = namedObject("DeploymentVersion", {
  ...DeploymentVersionSummary.shape,
  tags: z.array(z.string()),
  labels: Labels.nullable(),
  path: z.string().nullable(),
  pull_steps: z.array(JsonObject).nullable(),
  parameters: JsonObject,
  parameter_openapi_schema: JsonObject.nullable(),
  enforce_parameter_schema: z.boolean(),
  job_variables: JsonObject,
  work_queue_id: UuidText.nullable(),
  work_queue_name: z.string().nullable(),
  work_pool_name: z.string().nullable(),
  storage_document_id: UuidText.nullable(),
  infrastructure_document_id: UuidText.nullable(),
});

const VERSIONS = "/deployments/{id:uuid}/versions";
const VERSION = `${VERSIONS}/{version_id:uuid}`;
const MISSED_RUNS = "/deployments/{id:uuid}/schedules/{schedule_id:uuid}/missed_runs";
const RELIABILITY = "/deployments/{id:uuid}/reliability";

export const ownDeploymentRoutes = [
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
    { method: "GET", path: VERSION, summary: "Read a version of a deployment.", response: DeploymentVersion },
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
  route(
    {
      method: "GET",
      path: MISSED_RUNS,
      summary: "Read what is done with the runs of a schedule that no worker started in time.",
      response: MissedRuns,
    },
    ({ params, tools }) => readMissedRuns(tools, params),
  ),
  route(
    {
      method: "PUT",
      path: MISSED_RUNS,
      summary: "Set what is done with the runs of a schedule that no worker started in time.",
      body: MissedRuns,
      response: MissedRuns,
    },
    ({ params, body, tools }) => writeMissedRuns(tools, params, body),
  ),
  route(
    {
      method: "GET",
      path: RELIABILITY,
      summary: "Read what is done about runs of a deployment that stop or start twice.",
      response: Reliability,
    },
    async ({ params, tools }) => readReliability((await readDeployment(tools, params)).reliability),
  ),
  route(
    {
      method: "PATCH",
      path: RELIABILITY,
      summary: `Change what is done about runs of a deployment that stop or start twice; by default ${JSON.stringify(DEFAULT_RELIABILITY)}.`,
      body: ReliabilityUpdate,
      response: Reliability,
    },
    ({ params, body, tools }) => updateReliability(tools, params.id, body),
  ),
];

type BySchedule = { id: string; schedule_id: string };

const where = ({ workspaceId }: Tools, { id, schedule_id }: BySchedule) =>
  sql`where workspace_id = ${workspaceId} and deployment_id = ${id} and id = ${schedule_id}`;

async function readMissedRuns(tools: Tools, which: BySchedule): Promise<MissedRuns> {
  const [row] = await tools.db.rows<Pick<ScheduleRow, "missed_runs">>(
    sql`select missed_runs from ${deployment_schedule} ${where(tools, which)}`,
  );
  if (!row) throw notFound("Schedule");
  return readOptionalJson<MissedRuns>(row.missed_runs) ?? DEFAULT_MISSED_RUNS;
}

/** Does not change the schedule's `updated`, because the existing runs stay valid. */
async function writeMissedRuns(tools: Tools, which: BySchedule, wish: MissedRuns): Promise<MissedRuns> {
  const { rows } = await tools.db.run(
    sql`update ${deployment_schedule} set missed_runs = ${missedRunsColumn(wish)} ${where(tools, which)} returning id`,
  );
  if (rows.length === 0) throw notFound("Schedule");
  return wish;
}

/** Merges the changes into the column in one statement, so that two concurrent changes are both kept. */
async function updateReliability(tools: Tools, id: string, changes: Partial<Reliability>): Promise<Reliability> {
  const { rows } = await tools.db.run(
    sql`update ${deployment} set reliability = json_patch(coalesce(reliability, '{}'), ${JSON.stringify(changes)}),
        updated = ${laterThan(deployment.updated, tools.clock())}
      where workspace_id = ${tools.workspaceId} and id = ${id} returning reliability`,
  );
  if (!rows[0]) throw notFound("Deployment");
  forgetDeployment(tools.workspaceId, id);
  return readReliability(String(rows[0]["reliability"]));
}

/** `POST /deployments/{id}/create_flow_run`, alone and in bulk: creates runs of a deployment. */
import type * as z from "zod";
import { readJson, readOptionalJson } from "#db/database";
import { checkDocuments } from "#db/rows/blocks";
import { ApiError, notFound, refused } from "#lib/api-error";
import { schemaSteps } from "#lib/json-schema";
import { UnusableSchema } from "#lib/json-schema/schema";
import { isObject } from "#lib/json-value";
import type { Steps } from "#lib/steps";
import { enforceSchema, fillIn, readVariables } from "#resources/flow-runs/parameters";
import { readDeployment } from "#resources/deployments/read-deployment";
import type { DeploymentFlowRunCreate, FlowRunBulkCreateResponse } from "#resources/deployments/schema";
import type { DeploymentRow } from "#resources/deployments/store";
import {
  refuseUnusable,
  atVersion,
  pinnedVariables,
  refuseWithoutEnv,
  versionLabels,
} from "#resources/deployments/versions";
import { isUnchanged, type Origin, recallOrigin, rememberOrigin } from "#resources/deployments/recent-origins";
import { type VersionRow, VersionStore } from "#resources/deployments/versions-store";
import { templateOf } from "#resources/deployments/work-queue";
import {
  type Created,
  createFlowRun,
  createFlowRunIf,
  createFlowRuns,
  type FlowRunDraft,
} from "#resources/flow-runs/create-flow-run";
import { withBlockDefaults } from "#resources/work-pools/block-defaults";
import { validateRunVariables } from "#resources/work-pools/job-variables";
import { type WorkPoolRow, WorkPoolStore } from "#resources/work-pools/store";
import { ensureQueue } from "#resources/work-pools/queues";
import type { Tools } from "#tools";
import { hydrate, HydrationError } from "#wire/hydration";
import { checkerFor } from "#wire/parameters";

type Json = Record<string, unknown>;

/** Prefect: `create_flow_run_from_deployment`. Throws 404, 400, 409 or 422 if the run cannot be created. */
export async function createFromDeployment(tools: Tools, id: string, body: DeploymentFlowRunCreate): Promise<Created> {
  return (await createAsRemembered(tools, id, body)) ?? (await createAsRead(tools, id, body));
}

/** Creates a run of a cached deployment. Gives undefined and creates nothing if the deployment is not cached, has changed, or refuses the run. */
async function createAsRemembered(
  tools: Tools,
  id: string,
  body: DeploymentFlowRunCreate,
): Promise<Created | undefined> {
  const origin = recallOrigin(tools.workspaceId, id);
  if (!origin || body.deployment_version_id) return undefined;
  // The next step creates a missing queue. A deployment that has changed must not cause a new queue.
  if (body.work_queue_name && body.work_queue_name !== origin.row.queue_name) return undefined;
  let draft: FlowRunDraft;
  try {
    draft = await draftOfOne(tools, origin, body);
  } catch (error) {
    if (error instanceof ApiError) return undefined;
    throw error;
  }
  return createFlowRunIf(tools, draft, isUnchanged(origin));
}

async function createAsRead(tools: Tools, id: string, body: DeploymentFlowRunCreate): Promise<Created> {
  const origin = (await readOrigins(tools, id, [body]))(body);
  if (origin instanceof ApiError) throw origin;
  if (!origin.newest) rememberOrigin(origin);
  return createFlowRun(tools, await draftOfOne(tools, origin, body));
}

async function draftOfOne(tools: Tools, origin: Origin, body: DeploymentFlowRunCreate): Promise<FlowRunDraft> {
  await checkDocuments(tools, [body.infrastructure_document_id]);
  const merged = mergedParameters(origin, body);
  const parameters = fillIn(merged, await readVariables(tools, [merged]), "flow run");
  if (isEnforced(origin, body)) enforceSchema(parameters, schemaOf(origin), "creating flow run");
  await checkVariables(tools, origin, body);
  if (body.work_queue_name && !origin.pool) {
    throw refused(
      400,
      `Cannot create flow run in work queue ${body.work_queue_name} because deployment ${origin.row.id} is not associated with a work pool.` +
        " Please remove work_pool_name and try again.",
    );
  }
  return draftOf(tools, origin, body, { parameters, place: await placeOf(tools, origin, body) });
}

/** Prefect: the maximum number of runs in one request. */
const MAX_BULK = 100;

/** The result of one run in a bulk creation. */
type BulkResult = z.output<typeof FlowRunBulkCreateResponse>["results"][number];

/** Prefect: `bulk_create_flow_runs_from_deployment`. If one run cannot be created, its own result has the reason. The other runs are created. */
export async function createManyFromDeployment(
  tools: Tools,
  id: string,
  bodies: readonly DeploymentFlowRunCreate[],
): Promise<BulkResult[]> {
  if (bodies.length > MAX_BULK) throw refused(400, `Cannot create more than ${MAX_BULK} flow runs at once.`);
  const originOf = await readOrigins(tools, id, bodies);
  const asked = bodies.map((body) => ({ body, origin: originOf(body) }));
  const variables = await readVariables(
    tools,
    asked.map(({ body, origin }) => (origin instanceof ApiError ? {} : mergedParameters(origin, body))),
  );
  const checks: Checks = { steps: schemaSteps(STEPS_OF_MANY), byOrigin: new Map() };
  const places = new Map<string, Place>();
  const outcomes: (FlowRunDraft | BulkResult)[] = [];
  for (const { body, origin } of asked) {
    if (origin instanceof ApiError) {
      outcomes.push(failure(origin));
      continue;
    }
    const place = await placeOf(tools, origin, body, places);
    try {
      await checkDocuments(tools, [body.infrastructure_document_id]);
      const hydrated = hydrate(mergedParameters(origin, body), variables);
      const parameters = await checkOne(tools, { origin, body }, hydrated, checks);
      outcomes.push(draftOf(tools, origin, body, { parameters, place }));
    } catch (error) {
      outcomes.push(failure(error));
    }
  }
  const created = await createFlowRuns(
    tools,
    outcomes.filter((outcome) => "flow_id" in outcome),
  );
  const made = created[Symbol.iterator]();
  return outcomes.map((outcome) => {
    if (!("flow_id" in outcome)) return outcome;
    const { value } = made.next();
    return value
      ? { flow_run_id: value.run.id, status: "CREATED", error: null }
      : failed("The flow run could not be created.");
  });
}

const failed = (error: string): BulkResult => ({ flow_run_id: null, status: "FAILED", error });

function failure(error: unknown): BulkResult {
  if (error instanceof HydrationError) return failed(error.message);
  if (error instanceof UnusableSchema)
    return failed(`Invalid schema: ${error.reason === "circular" ? "circular references detected." : error.message}`);
  if (!(error instanceof ApiError)) throw error;
  const detail = isObject(error.body) ? error.body["detail"] : undefined;
  return failed(typeof detail === "string" ? detail : error.message);
}

/** The steps that the checks of many runs share, as a multiple of the steps of one run. */
const STEPS_OF_MANY = 4;

/** The checks of many runs share their steps, and check the schema of each origin once. */
interface Checks {
  steps: Steps;
  byOrigin: Map<Origin, (parameters: Json) => string | undefined>;
}

async function checkOne(
  tools: Tools,
  { origin, body }: { origin: Origin; body: DeploymentFlowRunCreate },
  parameters: Json,
  checks: Checks,
): Promise<Json> {
  if (isEnforced(origin, body)) {
    const problem = checkOf(origin, checks)(parameters);
    if (problem) throw refused(409, `Parameter validation failed: ${problem}`);
  }
  await checkVariables(tools, origin, body, checks.steps);
  if (body.work_queue_name && !origin.pool) {
    throw refused(
      400,
      `Cannot create flow run in work queue ${body.work_queue_name} because deployment is not associated with a work pool.`,
    );
  }
  return parameters;
}

function checkOf(origin: Origin, { steps, byOrigin }: Checks): (parameters: Json) => string | undefined {
  const known = byOrigin.get(origin);
  if (known) return known;
  const schema = schemaOf(origin);
  if (!isObject(schema))
    throw refused(409, "Parameter schema enforcement is enabled but deployment has no valid schema.");
  const check = checkerFor(schema, {}, steps);
  byOrigin.set(origin, check);
  return check;
}

/** Gives the origin of each body's run, or the error that refuses the run. Throws 404 for an unknown deployment. */
async function readOrigins(
  tools: Tools,
  id: string,
  bodies: readonly DeploymentFlowRunCreate[],
): Promise<(body: DeploymentFlowRunCreate) => Origin | ApiError> {
  const row = await readDeployment(tools, { id });
  const newest = { row, pool: await poolOf(tools, row) };
  const ids = [...new Set(bodies.flatMap((body) => body.deployment_version_id ?? []))];
  const read = await new VersionStore(tools.db, tools.workspaceId, id).read(ids);
  const versions = new Map(read.map((version) => [version.id, version]));
  const pins = new Map<string | null | undefined, Origin | ApiError>();
  for (const versionId of ids) {
    try {
      pins.set(versionId, await pinTo(tools, newest, versions.get(versionId)));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      pins.set(versionId, error);
    }
  }
  return (body) => pins.get(body.deployment_version_id) ?? newest;
}

async function poolOf(tools: Tools, row: DeploymentRow): Promise<WorkPoolRow | undefined> {
  if (row.pool_name === null) return undefined;
  return new WorkPoolStore(tools).readPoolByName(row.pool_name);
}

/** The deployment at a version. Throws 404 or 409 if the version cannot run. */
async function pinTo(tools: Tools, newest: Origin, version: VersionRow | undefined): Promise<Origin> {
  if (!version) throw notFound("Version");
  refuseUnusable(version);
  const row = atVersion(newest.row, version);
  const pool = row.pool_name === newest.row.pool_name ? newest.pool : await poolOf(tools, row);
  if (pool) refuseWithoutEnv(templateOf(pool));
  return { row, pool, newest: newest.row };
}

const mergedParameters = ({ row }: Origin, body: DeploymentFlowRunCreate): Json => ({
  ...readJson<Json>(row.parameters),
  ...body.parameters,
});
const schemaOf = ({ row }: Origin) => readOptionalJson<unknown>(row.parameter_openapi_schema);
const isEnforced = ({ row }: Origin, body: DeploymentFlowRunCreate) =>
  body.enforce_parameter_schema ?? row.enforce_parameter_schema === 1;

async function checkVariables(
  tools: Tools,
  { row, pool }: Origin,
  body: DeploymentFlowRunCreate,
  steps?: Steps,
): Promise<void> {
  if (!pool) return;
  const template = await withBlockDefaults(tools, templateOf(pool));
  validateRunVariables(template, readJson<Json>(row.job_variables), body.job_variables, "creating", steps);
}

type Place = Pick<FlowRunDraft, "work_queue_id" | "work_queue_name">;

/**
 * Gives the queue that a run names, and creates a missing queue. Without a name, gives the deployment's queue. `known`
 * has the queues of other runs.
 */
async function placeOf(
  tools: Tools,
  { row, pool }: Origin,
  { work_queue_name: name }: DeploymentFlowRunCreate,
  known = new Map<string, Place>(),
): Promise<Place> {
  if (!pool || !name || name === row.queue_name)
    return { work_queue_id: row.work_queue_id, work_queue_name: row.queue_name ?? row.work_queue_name };
  const key = `${pool.id} ${name}`;
  const place = known.get(key) ?? {
    work_queue_id: (await ensureQueue(tools, pool, name)).id,
    work_queue_name: name,
  };
  known.set(key, place);
  return place;
}

function draftOf(
  tools: Tools,
  origin: Origin,
  body: DeploymentFlowRunCreate,
  { parameters, place }: { parameters: Json; place: Place },
): FlowRunDraft {
  const { enforce_parameter_schema: _enforced, deployment_version_id: _version, tags, ...given } = body;
  const { row } = origin;
  return {
    ...given,
    ...pinnedFields(origin, body),
    ...place,
    flow_id: row.flow_id,
    deployment_id: row.id,
    deployment_version: row.version,
    parameters,
    tags: [...readJson<string[]>(row.tags), ...tags],
    infrastructure_document_id: body.infrastructure_document_id ?? row.infrastructure_document_id,
    created_by: tools.client.createdBy,
    state: body.state ?? { type: "SCHEDULED" },
  };
}

function pinnedFields({ row, pool, newest }: Origin, body: DeploymentFlowRunCreate): Partial<FlowRunDraft> {
  if (!newest) return {};
  return {
    labels: { ...readJson<Json>(row.labels), ...body.labels, ...versionLabels(row) },
    job_variables: pinnedVariables(newest, row, body.job_variables ?? {}, pool ? templateOf(pool) : {}),
  };
}

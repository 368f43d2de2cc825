/** `POST /deployments/{id}/create_flow_run`, alone and in bulk: runs made from a deployment. */
import { readJson, readOptionalJson } from "#db/database";
import { ApiError, notFound, refused } from "#lib/api-error";
import { schemaSteps } from "#lib/json-schema";
import { UnusableSchema } from "#lib/json-schema/unusable";
import { isObject } from "#lib/json-value";
import type { Steps } from "#lib/steps";
import { enforceSchema, fillIn, readVariables } from "#resources/flow-runs/parameters";
import type { DeploymentFlowRunCreate } from "#resources/deployments/schema";
import { type DeploymentRow, DeploymentStore } from "#resources/deployments/store";
import { readVersions, refuseUnusable } from "#resources/deployments/versions";
import { atVersion, pinnedVariables, refuseWithoutEnv, versionLabels } from "#resources/deployments/versions-pinned";
import type { VersionRow } from "#resources/deployments/versions-store";
import { templateOf } from "#resources/deployments/work-queue";
import { type Created, createFlowRun, createFlowRuns, type FlowRunDraft } from "#resources/flow-runs/create-flow-run";
import { validateRunVariables } from "#resources/work-pools/job-variables";
import { type WorkPoolRow, WorkPoolStore } from "#resources/work-pools/store";
import { ensureQueue } from "#resources/work-pools/queues";
import type { Tools } from "#tools";
import { hydrate, HydrationError } from "#wire/hydration";
import { checkerFor } from "#wire/parameters";

type Json = Record<string, unknown>;

/** A deployment, as it is or at an older version, with its pool, where it has one. */
interface Origin {
  row: DeploymentRow;
  pool: WorkPoolRow | undefined;
  /** The deployment as it is, where `row` is it at a version that the run is pinned to. */
  newest?: DeploymentRow;
}

/** Prefect: `create_flow_run_from_deployment`. Throws 404, 400, 409 or 422 where the run cannot be. */
export async function createFromDeployment(tools: Tools, id: string, body: DeploymentFlowRunCreate): Promise<Created> {
  const newest = await readOrigin(tools, id);
  const origin = body.deployment_version_id ? await readPinned(tools, newest, body.deployment_version_id) : newest;
  const merged = mergedParameters(origin.row, body);
  const parameters = fillIn(merged, await readVariables(tools, [merged]), "flow run");
  if (isEnforced(origin.row, body)) enforceSchema(parameters, schemaOf(origin.row), "creating flow run");
  checkVariables(origin, body);
  if (body.work_queue_name && !origin.pool) {
    throw refused(
      400,
      `Cannot create flow run in work queue ${body.work_queue_name} because deployment ${id} is not associated with a work pool.` +
        " Please remove work_pool_name and try again.",
    );
  }
  return createFlowRun(tools, {
    ...draftOf(tools, origin, body, parameters),
    ...(await placeOf(tools, origin, body)),
  });
}

/** Prefect: at most so many runs at once. */
const MAX_BULK = 100;

/** One run's fate in a bulk creation. */
export interface BulkResult {
  flow_run_id: string | null;
  status: "CREATED" | "FAILED";
  error: string | null;
}

/** Prefect: `bulk_create_flow_runs_from_deployment`. What is wrong with one run is said of that run alone. */
export async function createManyFromDeployment(
  tools: Tools,
  id: string,
  bodies: readonly DeploymentFlowRunCreate[],
): Promise<BulkResult[]> {
  if (bodies.length > MAX_BULK) throw refused(400, `Cannot create more than ${MAX_BULK} flow runs at once.`);
  const newest = await readOrigin(tools, id);
  const pins = await readPins(tools, newest, bodies);
  const asked = bodies.map((body) => ({ body, origin: originOf(newest, pins, body) }));
  const variables = await readVariables(
    tools,
    asked.map(({ body, origin }) => (origin instanceof ApiError ? {} : mergedParameters(origin.row, body))),
  );
  const places = new Map<Origin, Map<string, Place>>();
  for (const origin of [newest, ...pins.values()]) {
    if (origin instanceof ApiError) continue;
    const named = asked.filter((one) => one.origin === origin).map(({ body }) => body);
    places.set(origin, await placesOf(tools, origin, named));
  }
  const checks: Checks = { steps: schemaSteps(STEPS_OF_MANY), byOrigin: new Map() };
  const outcomes = asked.map(({ body, origin }) => {
    try {
      if (origin instanceof ApiError) throw origin;
      const parameters = checkOne(origin, body, hydrate(mergedParameters(origin.row, body), variables), checks);
      const place = places.get(origin)?.get(body.work_queue_name ?? "") ?? ownPlace(origin.row);
      return { ...draftOf(tools, origin, body, parameters), ...place };
    } catch (error) {
      return failure(error);
    }
  });
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
      : { flow_run_id: null, status: "FAILED", error: "The flow run could not be created." };
  });
}

function failure(error: unknown): BulkResult {
  if (error instanceof HydrationError) return { flow_run_id: null, status: "FAILED", error: error.message };
  if (error instanceof UnusableSchema) {
    const problem = error.reason === "circular" ? "circular references detected." : error.message;
    return { flow_run_id: null, status: "FAILED", error: `Invalid schema: ${problem}` };
  }
  if (!(error instanceof ApiError)) throw error;
  const detail = isObject(error.body) ? error.body["detail"] : undefined;
  return { flow_run_id: null, status: "FAILED", error: typeof detail === "string" ? detail : error.message };
}

/** How much more work the checks of many runs may be than those of one. */
const STEPS_OF_MANY = 4;

/** The checks of many runs share their steps, and look at each deployment's schema once. */
interface Checks {
  steps: Steps;
  byOrigin: Map<Origin, (parameters: Json) => string | undefined>;
}

function checkOne(origin: Origin, body: DeploymentFlowRunCreate, parameters: Json, checks: Checks): Json {
  if (isEnforced(origin.row, body)) {
    const problem = checkOf(origin, checks)(parameters);
    if (problem) throw refused(409, `Parameter validation failed: ${problem}`);
  }
  checkVariables(origin, body, checks.steps);
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
  const schema = schemaOf(origin.row);
  if (!isObject(schema))
    throw refused(409, "Parameter schema enforcement is enabled but deployment has no valid schema.");
  const check = checkerFor(schema, {}, steps);
  byOrigin.set(origin, check);
  return check;
}

async function readOrigin(tools: Tools, id: string): Promise<Origin> {
  const row = await new DeploymentStore(tools.db, tools.workspaceId).read({ id });
  if (!row) throw notFound("Deployment");
  return { row, pool: await poolOf(tools, row) };
}

async function poolOf(tools: Tools, row: DeploymentRow): Promise<WorkPoolRow | undefined> {
  if (row.pool_name === null) return undefined;
  return new WorkPoolStore(tools).readPoolByName(row.pool_name);
}

/** The deployment at a version. Throws 404 or 409 where no run can be made of that. */
async function readPinned(tools: Tools, newest: Origin, versionId: string): Promise<Origin> {
  const [version] = await readVersions(tools, newest.row.id, [versionId]);
  return pinTo(tools, newest, version);
}

async function pinTo(tools: Tools, newest: Origin, version: VersionRow | undefined): Promise<Origin> {
  if (!version) throw notFound("Version");
  refuseUnusable(version);
  const row = atVersion(newest.row, version);
  const pool = row.pool_name === newest.row.pool_name ? newest.pool : await poolOf(tools, row);
  if (pool) refuseWithoutEnv(templateOf(pool));
  return { row, pool, newest: newest.row };
}

/** What the versions come to that runs are pinned to, by their ids: the deployment at that version, or why not. */
async function readPins(
  tools: Tools,
  newest: Origin,
  bodies: readonly DeploymentFlowRunCreate[],
): Promise<Map<string, Origin | ApiError>> {
  const ids = [...new Set(bodies.flatMap((body) => body.deployment_version_id ?? []))];
  const versions = new Map((await readVersions(tools, newest.row.id, ids)).map((version) => [version.id, version]));
  const pins = new Map<string, Origin | ApiError>();
  for (const id of ids) {
    try {
      pins.set(id, await pinTo(tools, newest, versions.get(id)));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      pins.set(id, error);
    }
  }
  return pins;
}

const originOf = (newest: Origin, pins: Map<string, Origin | ApiError>, body: DeploymentFlowRunCreate) =>
  body.deployment_version_id ? (pins.get(body.deployment_version_id) ?? notFound("Version")) : newest;

const mergedParameters = (row: DeploymentRow, body: DeploymentFlowRunCreate): Json => ({
  ...readJson<Json>(row.parameters),
  ...body.parameters,
});
const schemaOf = (row: DeploymentRow) => readOptionalJson<unknown>(row.parameter_openapi_schema);
const isEnforced = (row: DeploymentRow, body: DeploymentFlowRunCreate) =>
  body.enforce_parameter_schema ?? row.enforce_parameter_schema === 1;

function checkVariables({ row, pool }: Origin, body: DeploymentFlowRunCreate, steps?: Steps): void {
  if (!pool) return;
  validateRunVariables(templateOf(pool), readJson<Json>(row.job_variables), body.job_variables, "creating", steps);
}

type Place = Pick<FlowRunDraft, "work_queue_id" | "work_queue_name">;

const ownPlace = (row: DeploymentRow): Place => ({
  work_queue_id: row.work_queue_id,
  work_queue_name: row.queue_name ?? row.work_queue_name,
});

async function placeOf(tools: Tools, origin: Origin, body: DeploymentFlowRunCreate): Promise<Place> {
  return (await placesOf(tools, origin, [body])).get(body.work_queue_name ?? "") ?? ownPlace(origin.row);
}

/** The queues that runs name themselves, made where they are not there. */
async function placesOf(
  tools: Tools,
  { row, pool }: Origin,
  bodies: readonly DeploymentFlowRunCreate[],
): Promise<Map<string, Place>> {
  const places = new Map<string, Place>();
  if (!pool) return places;
  for (const name of new Set(bodies.map((body) => body.work_queue_name))) {
    if (!name || name === row.queue_name) continue;
    places.set(name, { work_queue_id: (await ensureQueue(tools, pool, name)).id, work_queue_name: name });
  }
  return places;
}

function draftOf(tools: Tools, origin: Origin, body: DeploymentFlowRunCreate, parameters: Json): FlowRunDraft {
  const { enforce_parameter_schema: _enforced, work_queue_name: _queue, tags, ...rest } = body;
  const { deployment_version_id: _version, ...given } = rest;
  const { row } = origin;
  return {
    ...given,
    ...pinnedFields(origin, body),
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

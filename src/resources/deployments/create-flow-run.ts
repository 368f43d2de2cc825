/** `POST /deployments/{id}/create_flow_run`, alone and in bulk: runs made from a deployment. */
import { readJson, readOptionalJson } from "#db/database";
import { ApiError, notFound, refused } from "#lib/api-error";
import { isObject, UnusableSchema } from "#lib/json-schema";
import { enforceSchema, fillIn, readVariables } from "#resources/deployments/parameters";
import type { DeploymentFlowRunCreate } from "#resources/deployments/schema";
import { type DeploymentRow, DeploymentStore } from "#resources/deployments/store";
import { templateOf } from "#resources/deployments/work-queue";
import { type Created, createFlowRun, createFlowRuns, type FlowRunDraft } from "#resources/flow-runs/create-flow-run";
import { validateRunVariables } from "#resources/work-pools/job-variables";
import { type WorkPoolRow, WorkPoolStore } from "#resources/work-pools/store";
import { ensureQueue } from "#resources/work-queues/queues";
import type { Tools } from "#tools";
import { hydrate, HydrationError } from "#wire/hydration";
import { valuesProblem } from "#wire/parameters";

type Json = Record<string, unknown>;

/** A deployment with its pool, where it has one. */
interface Origin {
  row: DeploymentRow;
  pool: WorkPoolRow | undefined;
}

/** Prefect: `create_flow_run_from_deployment`. Throws 404, 400, 409 or 422 where the run cannot be. */
export async function createFromDeployment(tools: Tools, id: string, body: DeploymentFlowRunCreate): Promise<Created> {
  const origin = await readOrigin(tools, id);
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
    ...draftOf(tools, origin.row, body, parameters),
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
  const origin = await readOrigin(tools, id);
  const merged = bodies.map((body) => mergedParameters(origin.row, body));
  const variables = await readVariables(tools, merged);
  const places = await placesOf(tools, origin, bodies);
  const outcomes = bodies.map((body, index) => {
    try {
      const parameters = checkOne(origin, body, hydrate(merged[index] ?? {}, variables));
      const place = places.get(body.work_queue_name ?? "") ?? ownPlace(origin.row);
      return { ...draftOf(tools, origin.row, body, parameters), ...place };
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
  if (error instanceof UnusableSchema)
    return { flow_run_id: null, status: "FAILED", error: "Invalid schema: circular references detected." };
  if (!(error instanceof ApiError)) throw error;
  const detail = isObject(error.body) ? error.body["detail"] : undefined;
  return { flow_run_id: null, status: "FAILED", error: typeof detail === "string" ? detail : error.message };
}

function checkOne(origin: Origin, body: DeploymentFlowRunCreate, parameters: Json): Json {
  if (isEnforced(origin.row, body)) {
    const schema = schemaOf(origin.row);
    if (!isObject(schema))
      throw refused(409, "Parameter schema enforcement is enabled but deployment has no valid schema.");
    const problem = valuesProblem(parameters, schema);
    if (problem) throw refused(409, `Parameter validation failed: ${problem}`);
  }
  checkVariables(origin, body);
  if (body.work_queue_name && !origin.pool) {
    throw refused(
      400,
      `Cannot create flow run in work queue ${body.work_queue_name} because deployment is not associated with a work pool.`,
    );
  }
  return parameters;
}

async function readOrigin(tools: Tools, id: string): Promise<Origin> {
  const row = await new DeploymentStore(tools.db, tools.workspaceId).read({ id });
  if (!row) throw notFound("Deployment");
  const pool =
    row.pool_name === null
      ? undefined
      : await new WorkPoolStore(tools.db, tools.workspaceId).readPoolByName(row.pool_name);
  return { row, pool };
}

const mergedParameters = (row: DeploymentRow, body: DeploymentFlowRunCreate): Json => ({
  ...readJson<Json>(row.parameters),
  ...body.parameters,
});
const schemaOf = (row: DeploymentRow) => readOptionalJson<unknown>(row.parameter_openapi_schema);
const isEnforced = (row: DeploymentRow, body: DeploymentFlowRunCreate) =>
  body.enforce_parameter_schema ?? row.enforce_parameter_schema === 1;

function checkVariables({ row, pool }: Origin, body: DeploymentFlowRunCreate): void {
  if (pool) validateRunVariables(templateOf(pool), readJson<Json>(row.job_variables), body.job_variables, "creating");
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

function draftOf(tools: Tools, row: DeploymentRow, body: DeploymentFlowRunCreate, parameters: Json): FlowRunDraft {
  const { enforce_parameter_schema: _enforced, work_queue_name: _queue, tags, ...given } = body;
  return {
    ...given,
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

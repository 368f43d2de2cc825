/**
 * `POST /deployments/` creates a deployment, or changes the deployment with the same flow and name. `PATCH
 * /deployments/{id}` changes a deployment.
 */
import { sql } from "drizzle-orm";
import { readJson, readOptionalJson } from "#db/database";
import { checkDocuments } from "#db/rows/blocks";
import { type DeploymentColumns, deployments, type ScheduleRow } from "#db/rows/deployments";
import { newColumns } from "#db/workspace-store";
import { concurrency_limit } from "#db/tables/concurrency-limit";
import { flow } from "#db/tables/flow";
import { conflict, integrityConflict, notFound, unavailable } from "#lib/api-error";
import { UnusableSchema } from "#lib/json-schema/schema";
import { isObject } from "#lib/json-value";
import { ConcurrencyLimitStore } from "#resources/concurrency-limits-v2/store";
import { announce, commitChange, limitStatements } from "#resources/deployments/commit-change";
import { materialise } from "#resources/deployments/materialise";
import { readDeployment } from "#resources/deployments/read-deployment";
import { asNew, checkParameters, mergeSchedules, scheduleRows } from "#resources/deployments/schedules";
import type { DeploymentCreate, DeploymentUpdate } from "#resources/deployments/schema";
import { type DeploymentRow, DeploymentStore, schedulesOf } from "#resources/deployments/store";
import { keepVersion } from "#resources/deployments/versions-store";
import { findPool, NO_PLACE, placeRuns, templateOf } from "#resources/deployments/work-queue";
import { enforceSchema, fillIn, readVariables } from "#resources/flow-runs/parameters";
import { withBlockDefaults } from "#resources/work-pools/block-defaults";
import { validateDeploymentVariables } from "#resources/work-pools/job-variables";
import { AGENT_POOL, type WorkPoolRow } from "#resources/work-pools/store";
import type { Tools } from "#tools";
import { valuesProblem } from "#wire/parameters";

/** How many times the write is tried if another request creates or deletes the deployment meanwhile. */
const TRIES = 5;

/** Gives the written deployment, and whether it was created. Throws 404, 409 or 422 for a body that is refused. */
export async function createDeployment(
  tools: Tools,
  body: DeploymentCreate,
): Promise<{ row: DeploymentRow; created: boolean }> {
  const pool = await findPool(tools, body.work_pool_name);
  if (pool && pool.name !== AGENT_POOL && Object.keys(body.job_variables ?? {}).length > 0) {
    const template = await withBlockDefaults(tools, templateOf(pool));
    validateDeploymentVariables(template, body.job_variables, "creating");
  }
  await checkDocumentsOf(tools, body);
  const store = new DeploymentStore(tools);
  for (let tries = 0; tries < TRIES; tries++) {
    const { existing, labels } = await readAround(tools, store, body);
    const target = existing ?? deployments.blank({ ...newColumns(tools), name: body.name, flow_id: body.flow_id });
    const given = {
      ...columnsOf(body),
      // Prefect: `with_system_labels_for_deployment`. First the flow's labels, then the system's, then the client's.
      labels: JSON.stringify({ ...labels, "prefect.flow.id": body.flow_id, ...body.labels }),
    };
    const isPaused = (given.paused ?? target.paused) === 1;
    const present = existing ? schedulesOf(existing) : [];
    const wishes = (body.schedules ?? []).flatMap(asNew);
    const rows = scheduleRows(tools, target.id, wishes, { isPaused, before: present });
    checkParameters({ ...target, ...given }, rows);
    const queueId = await placeRuns(tools, pool, body.work_queue_name);
    const columns = {
      ...given,
      // Prefect: a queue without a pool is in the pool of agents.
      ...(body.work_pool_name === null && !queueId && NO_PLACE),
      ...(queueId && { work_queue_id: queueId }),
    };
    const row = existing
      ? await commitChange(tools, existing, { body, columns, schedules: store.replaceSchedules(existing.id, rows) })
      : await insert(tools, { ...target, ...columns }, rows, body);
    if (row) return { row, created: !existing };
  }
  throw unavailable("The deployment is being changed by others.", 1);
}

/** Throws 409 for a block document that does not exist. */
async function checkDocumentsOf(tools: Tools, body: DeploymentCreate): Promise<void> {
  const refusal = (what: string) => (id: string) =>
    conflict(
      `Error creating deployment. Could not find ${what} block with id: ${id}. This usually occurs when applying a` +
        " deployment specification that was built against a different Prefect database / workspace.",
    );
  await checkDocuments(tools, [body.infrastructure_document_id], refusal("infrastructure"));
  await checkDocuments(tools, [body.storage_document_id], refusal("storage"));
}

/** Reads the deployment, if any, and the flow's labels. Throws 404 for an unknown limit, 409 for an unknown flow. */
async function readAround(tools: Tools, store: DeploymentStore, body: DeploymentCreate) {
  const limitId = body.global_concurrency_limit_id ?? null;
  const [deployments = [], flows = [], limits = []] = await tools.db.readAll([
    store.select({ flowId: body.flow_id, name: body.name }),
    sql`select labels from ${flow} where workspace_id = ${tools.workspaceId} and id = ${body.flow_id}`,
    sql`select id from ${concurrency_limit} where workspace_id = ${tools.workspaceId} and id = ${limitId}`,
  ]);
  if (limitId !== null && limits.length === 0) throw notFound("Concurrency limit");
  if (!flows[0]) throw integrityConflict();
  return {
    existing: deployments[0] as DeploymentRow | undefined, // a row of the store's own select
    labels: readJson<Record<string, unknown>>(String(flows[0]["labels"])),
  };
}

/** Writes a new deployment and creates the runs of its schedules. Gives undefined if another request has created the deployment meanwhile. */
async function insert(
  tools: Tools,
  row: DeploymentColumns,
  schedules: readonly ScheduleRow[],
  body: DeploymentCreate,
): Promise<DeploymentRow | undefined> {
  const { id, created } = row;
  const store = new DeploymentStore(tools);
  const { row: after } = await store.commit(id, [
    store.insert(row),
    ...keepVersion(tools, id, created),
    ...store.insertSchedules(id, schedules),
    ...limitStatements(tools, { id, body, now: created }),
  ]);
  if (!after) return undefined;
  await materialise(tools, [after]);
  await announce(tools, undefined, after);
  return after;
}

/** Changes a deployment. Throws 404 for an unknown deployment, and 400, 409 or 422 for a body that is refused. */
export async function updateDeployment(tools: Tools, id: string, body: DeploymentUpdate): Promise<void> {
  const before = await readDeployment(tools, { id }, "Deployment not found.");
  const schedules = mergeSchedules(tools, before, body.schedules);
  const pool = await findPool(tools, body.work_pool_name);
  if (pool) checkVariables(pool, body.job_variables);
  const parameters = await checkedParameters(tools, before, body);
  const given = columnsOf({ ...body, parameters });
  const isResumed = before.paused === 1 && body.paused === false;
  checkParameters({ ...before, ...given }, [...schedules.written, ...(isResumed ? schedules.untouched : [])]);
  const limitId = body.global_concurrency_limit_id;
  if (limitId && !(await new ConcurrencyLimitStore(tools).read({ id: limitId }))) throw notFound("Concurrency limit");
  await checkDocuments(tools, [body.infrastructure_document_id, body.storage_document_id]);
  // Prefect: if the pool is null, the name of a queue is ignored.
  const leavesPool = body.work_pool_name === null;
  const queueId = leavesPool ? undefined : await placeRuns(tools, pool, body.work_queue_name);
  const columns = { ...given, ...(leavesPool && NO_PLACE), ...(queueId && { work_queue_id: queueId }) };
  const after = await commitChange(tools, before, { body, columns, schedules: schedules.statements });
  if (!after) throw unavailable("The deployment was deleted in the meantime.", 1);
}

/** Prefect: `check_valid_configuration` of a change. Throws 409. */
function checkVariables(pool: WorkPoolRow, variables: DeploymentUpdate["job_variables"]): void {
  const schema = templateOf(pool)["variables"];
  if (!variables || !isObject(schema)) return;
  try {
    const problem = valuesProblem(variables, schema, { ignoreRequired: true });
    if (problem) throw conflict(`Error creating deployment: ${problem}`);
  } catch (error) {
    if (error instanceof UnusableSchema) throw conflict(`Error creating deployment: ${error.message}`);
    throw error;
  }
}

/** Gives the new parameters, templates filled in. Throws 400, 409 or 422 if the new schema does not allow the parameters. */
async function checkedParameters(tools: Tools, before: DeploymentRow, body: DeploymentUpdate) {
  const given = body.parameters
    ? fillIn(body.parameters, await readVariables(tools, [body.parameters]), "deployment")
    : undefined;
  if (body.enforce_parameter_schema ?? before.enforce_parameter_schema === 1) {
    const schema = body.parameter_openapi_schema ?? readOptionalJson<unknown>(before.parameter_openapi_schema);
    const parameters = given ?? readJson<Record<string, unknown>>(before.parameters);
    enforceSchema(parameters, schema, "updating deployment", { ignoreRequired: true });
  }
  return given;
}

/** Fields without a column, and fields with a column that is not made from the field alone. */
const OTHERS = [
  "name",
  "flow_id",
  "labels",
  "schedules",
  "work_pool_name",
  "global_concurrency_limit_id",
] as const satisfies readonly (keyof DeploymentCreate)[];

/** The columns of the fields that a body gives. A column that cannot be null does not change if its field is null. */
function columnsOf(body: Partial<DeploymentCreate> | DeploymentUpdate): Partial<DeploymentColumns> {
  const { global_concurrency_limit_id: limitId } = body;
  return {
    ...deployments.changes(body, OTHERS),
    ...(limitId !== undefined && { concurrency_limit_id: limitId }),
  };
}

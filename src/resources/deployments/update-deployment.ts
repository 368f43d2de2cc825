/** `PATCH /deployments/{id}`: changes the fields that are given. */
import { readJson, readOptionalJson } from "#db/database";
import { conflict, notFound, unavailable } from "#lib/api-error";
import { UnusableSchema } from "#lib/json-schema/unusable";
import { isObject } from "#lib/json-value";
import { ConcurrencyLimitStore } from "#resources/concurrency-limits-v2/store";
import { commitChange } from "#resources/deployments/commit-change";
import { columnsOf } from "#resources/deployments/create-deployment";
import { checkParameters, mergeSchedules } from "#resources/deployments/schedules";
import { readDeployment } from "#resources/deployments/read-deployment";
import type { DeploymentUpdate } from "#resources/deployments/schema";
import type { DeploymentRow } from "#resources/deployments/store";
import { findPool, NO_PLACE, placeRuns, templateOf } from "#resources/deployments/work-queue";
import { enforceSchema, fillIn, readVariables } from "#resources/flow-runs/parameters";
import type { Tools } from "#tools";
import { valuesProblem } from "#wire/parameters";

/** Changes a deployment. Throws 404 for an unknown one, and 400, 409 or 422 for a body that is refused. */
export async function updateDeployment(tools: Tools, id: string, body: DeploymentUpdate): Promise<void> {
  const before = await readDeployment(tools, { id }, "Deployment not found.");
  const schedules = mergeSchedules(tools, before, body.schedules);
  const pool = await findPool(tools, body.work_pool_name);
  if (pool) checkVariables(templateOf(pool), body.job_variables);
  const parameters = await checkedParameters(tools, before, body);
  const given = columnsOf({ ...body, parameters });
  const isResumed = before.paused === 1 && body.paused === false;
  checkParameters({ ...before, ...given }, [...schedules.written, ...(isResumed ? schedules.untouched : [])]);
  const limitId = body.global_concurrency_limit_id;
  const limits = new ConcurrencyLimitStore(tools);
  if (limitId && !(await limits.read({ id: limitId }))) throw notFound("Concurrency limit");
  // Prefect: where the pool is null, the name of a queue is ignored.
  const leavesPool = body.work_pool_name === null;
  const queueId = leavesPool ? undefined : await placeRuns(tools, pool, body.work_queue_name);
  const columns = {
    ...given,
    ...(leavesPool && NO_PLACE),
    ...(queueId && { work_queue_id: queueId }),
  };
  const after = await commitChange(tools, before, { body, columns, schedules: schedules.statements });
  if (!after) throw unavailable("The deployment was deleted in the meantime.", 1);
}

/** Prefect: `check_valid_configuration` of a change. Throws 409. */
function checkVariables(
  template: Record<string, unknown>,
  variables: Record<string, unknown> | null | undefined,
): void {
  const schema = template["variables"];
  if (!variables || !isObject(schema)) return;
  try {
    const problem = valuesProblem(variables, schema, { ignoreRequired: true });
    if (problem) throw conflict(`Error creating deployment: ${problem}`);
  } catch (error) {
    if (error instanceof UnusableSchema) throw conflict(`Error creating deployment: ${error.message}`);
    throw error;
  }
}

/** Gives the new parameters with their templates filled in. Throws 400, 409 or 422 for parameters that the new schema does not allow. */
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

/** `PATCH /deployments/{id}`: only the fields that are given count. */
import { sql } from "drizzle-orm";
import { readJson, readOptionalJson, type Statement } from "#db/database";
import { concurrency_limit } from "#db/tables/concurrency-limit";
import { conflict, refused, unavailable } from "#lib/api-error";
import { announce, columnsOf } from "#resources/deployments/create-deployment";
import { forgetRuns, removeAutoRuns } from "#resources/deployments/future-runs";
import { limitStatements, type LimitWish, tellOfLimit } from "#resources/deployments/limits";
import { materialise } from "#resources/deployments/materialise";
import { enforceSchema, fillIn, readVariables } from "#resources/flow-runs/parameters";
import type { DeploymentUpdate } from "#resources/deployments/schema";
import { checkParameters } from "#resources/deployments/required-parameters";
import { mergeSchedules, plannedSchedules, untouchedSchedules } from "#resources/deployments/merge-schedules";
import { type DeploymentColumns, type DeploymentRow, DeploymentStore } from "#resources/deployments/store";
import { asKept, keepVersion } from "#resources/deployments/versions-store";
import { findPool, NO_PLACE, placeRuns, templateOf } from "#resources/deployments/work-queue";
import { forgetDeployment } from "#orchestration/recent-runs";
import type { Tools } from "#tools";
import { valuesProblem } from "#wire/parameters";
import { UnusableSchema } from "#lib/json-schema/unusable";
import { isObject } from "#lib/json-value";

/** What runs are made of: where none of it changes, those that are there may stay. */
const SHAPING = new Set([
  "paused",
  "parameters",
  "tags",
  "version",
  "work_queue_id",
  "work_queue_name",
  "infrastructure_document_id",
  "parameter_openapi_schema",
  "enforce_parameter_schema",
]);

/** Changes a deployment. Throws 404, 409 or 422 where that cannot be. */
export async function updateDeployment(tools: Tools, id: string, body: DeploymentUpdate): Promise<void> {
  const store = new DeploymentStore(tools.db, tools.workspaceId);
  const before = await store.read({ id });
  if (!before) throw refused(404, "Deployment not found.");
  const schedules = mergeSchedules(tools, store, before, body.schedules);
  const pool = await findPool(tools, body.work_pool_name);
  if (pool) checkVariables(templateOf(pool), body.job_variables);
  const parameters = await checkedParameters(tools, before, body);
  const given = columnsOf({ ...body, parameters });
  checkParameters({ ...before, ...given }, activated(before, body));
  if (body.global_concurrency_limit_id) await checkLimit(tools, body.global_concurrency_limit_id);
  // Prefect: null for the pool counts for more than the name of a queue.
  const leavesPool = body.work_pool_name === null;
  const queueId = leavesPool ? undefined : await placeRuns(tools, pool, body);
  const changes = {
    ...given,
    ...(leavesPool && NO_PLACE),
    ...(queueId && { work_queue_id: queueId }),
  };
  await commitChange(tools, before, { body, changes, schedules });
}

/** The schedules that the body makes, changes or lets go on. */
function activated(before: DeploymentRow, body: DeploymentUpdate) {
  const isResumed = before.paused === 1 && body.paused === false;
  return [
    ...plannedSchedules(before, body.schedules ?? []),
    ...(isResumed ? untouchedSchedules(before, body.schedules) : []),
  ];
}

/** A change of a deployment's columns, of its limit (`body`) and of its schedules. */
export interface Change {
  body: LimitWish;
  changes: Partial<DeploymentColumns>;
  schedules: Statement[];
}

/** Commits a change in one batch, with the version that comes of it; then tells whom it concerns. */
export async function commitChange(
  tools: Tools,
  before: DeploymentRow,
  { body, changes, schedules }: Change,
): Promise<void> {
  const store = new DeploymentStore(tools.db, tools.workspaceId);
  const { id } = before;
  const now = tools.clock();
  const isReshaped =
    schedules.length > 0 ||
    Object.keys(changes).some((column) => SHAPING.has(column) && isChanged(before, changes, column));
  const removal = isReshaped ? removeAutoRuns(tools.workspaceId, id, now, "future") : [];
  const written = await tools.db.batch([
    ...removal,
    store.update(id, { ...asKept(before, changes), updated: now }),
    ...keepVersion(tools, id, now),
    ...schedules,
    ...(isReshaped ? [store.callForTopUp(id, now)] : []),
    ...limitStatements(tools, store, id, before, body, now),
    store.select({ id }),
  ]);
  const after = written.at(-1)?.rows[0] as DeploymentRow | undefined; // a row of the store's own select
  if (!after) throw unavailable("The deployment was deleted in the meantime.", 1);
  forgetDeployment(tools.workspaceId, id);
  await forgetRuns(tools, before, written.slice(0, removal.length));
  if (isReshaped) await materialise(tools, [after]);
  await announce(tools, before, after);
  await tellOfLimit(tools, before, after, body);
}

function isChanged(before: DeploymentRow, changes: Partial<DeploymentColumns>, column: string): boolean {
  return Object.entries(changes).some(
    ([name, value]) => name === column && value !== new Map(Object.entries(before)).get(name),
  );
}

/** Prefect: `check_valid_configuration`, where a change is concerned. */
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

/** The new parameters filled in, once they are found to fit the schema that holds from now on. */
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

async function checkLimit(tools: Tools, id: string): Promise<void> {
  const [limit] = await tools.db.rows(
    sql`select id from ${concurrency_limit} where workspace_id = ${tools.workspaceId} and id = ${id}`,
  );
  if (!limit) throw refused(404, "Concurrency limit not found");
}

/** `POST /deployments/`: makes a deployment, or says another word on the one its flow has under that name. */
import { sql } from "drizzle-orm";
import { readJson, type Statement } from "#db/database";
import { type DeploymentColumns, deployments } from "#db/rows/deployments";
import { concurrency_limit } from "#db/tables/concurrency-limit";
import { flow } from "#db/tables/flow";
import { emitEvents } from "#events/emit";
import { integrityConflict, refused, unavailable } from "#lib/api-error";
import { noticeDeployments } from "#objects/work-pool/client";
import { changesBetween, deploymentEvent } from "#resources/deployments/events";
import { forgetRuns, removeAutoRuns } from "#resources/deployments/future-runs";
import { limitStatements, tellOfLimit } from "#resources/deployments/limits";
import { materialise } from "#resources/deployments/materialise";
import { checkParameters, type ScheduleParameters } from "#resources/deployments/required-parameters";
import type { DeploymentCreate, DeploymentScheduleCreate, DeploymentUpdate } from "#resources/deployments/schema";
import { activeOf, type Around, scheduleRows } from "#resources/deployments/schedules";
import { type DeploymentRow, DeploymentStore, schedulesOf } from "#resources/deployments/store";
import { asKept, keepVersion } from "#resources/deployments/versions-store";
import { findPool, NO_PLACE, placeRuns, templateOf } from "#resources/deployments/work-queue";
import { validateDeploymentVariables } from "#resources/work-pools/job-variables";
import { AGENT_POOL } from "#resources/work-pools/store";
import type { Tools } from "#tools";

/** How often a deployment that is made or deleted under our hands is looked at again. */
const TRIES = 5;

/** What a body comes to, apart from the deployment that may be there. */
interface Wish {
  body: DeploymentCreate;
  columns: Partial<DeploymentColumns>;
  labels: Record<string, unknown>;
}

/** The deployment as it is then, and whether it was made. */
export async function createDeployment(
  tools: Tools,
  body: DeploymentCreate,
): Promise<{ row: DeploymentRow; created: boolean }> {
  const pool = await findPool(tools, body.work_pool_name);
  if (pool && pool.name !== AGENT_POOL) validateDeploymentVariables(templateOf(pool), body.job_variables, "creating");
  const store = new DeploymentStore(tools.db, tools.workspaceId);
  for (let tries = 0; tries < TRIES; tries++) {
    const { existing, labels } = await readAround(tools, store, body);
    checkParameters({ ...(existing ?? NO_PARAMETERS), ...columnsOf(body) }, planned(body.schedules ?? [], existing));
    const queueId = await placeRuns(tools, pool, body);
    const columns = {
      ...columnsOf(body),
      // Prefect: a queue that is named without a pool is one of the pool of agents.
      ...(body.work_pool_name === null && !queueId && NO_PLACE),
      ...(queueId && { work_queue_id: queueId }),
    };
    const wish = { body, labels, columns };
    const row = existing ? await say(tools, store, existing, wish) : await make(tools, store, wish);
    if (!row) continue;
    await materialise(tools, [row]);
    await announce(tools, existing, row);
    if (existing) await tellOfLimit(tools, existing, row, body);
    return { row, created: !existing };
  }
  throw unavailable("The deployment is being changed by others.", 1);
}

const NO_PARAMETERS = { parameters: "{}", parameter_openapi_schema: "{}", enforce_parameter_schema: 1 };

function planned(
  schedules: readonly DeploymentScheduleCreate[],
  existing: DeploymentRow | undefined,
): ScheduleParameters[] {
  const areActive = activeOf(schedules, existing ? schedulesOf(existing) : []);
  return schedules.map(({ parameters }, index) => ({
    active: areActive[index] ? 1 : 0,
    parameters: JSON.stringify(parameters),
  }));
}

/** One round trip: the deployment that is there, the flow's labels, the limit that is named. */
async function readAround(tools: Tools, store: DeploymentStore, body: DeploymentCreate) {
  const limitId = body.global_concurrency_limit_id ?? null;
  const [deployments = [], flows = [], limits = []] = await tools.db.readAll([
    store.select({ flowId: body.flow_id, name: body.name }),
    sql`select labels from ${flow} where workspace_id = ${tools.workspaceId} and id = ${body.flow_id}`,
    sql`select id from ${concurrency_limit} where workspace_id = ${tools.workspaceId} and id = ${limitId}`,
  ]);
  if (limitId !== null && limits.length === 0) throw refused(404, "Concurrency limit not found");
  if (!flows[0]) throw integrityConflict();
  // Rows of the store's own select.
  return {
    existing: deployments[0] as DeploymentRow | undefined,
    labels: readJson<Record<string, unknown>>(String(flows[0]["labels"])),
  };
}

async function make(tools: Tools, store: DeploymentStore, wish: Wish): Promise<DeploymentRow | undefined> {
  const now = tools.clock();
  const { name, flow_id } = wish.body;
  const ids = { workspace_id: tools.workspaceId, id: tools.ids.random() };
  const row = {
    ...deployments.blank({ ...ids, created: now, updated: now, name, flow_id }),
    ...wish.columns,
    labels: labelsOf(wish),
  };
  const written = await tools.db.batch([
    store.insert(row),
    ...keepVersion(tools, row.id, now),
    ...insertSchedules(tools, store, row.id, wish.body, { isPaused: row.paused === 1 }),
    ...limitStatements(tools, store, row.id, null, wish.body, now),
    store.select({ id: row.id }),
  ]);
  return written.at(-1)?.rows[0] as DeploymentRow | undefined; // a row of the store's own select
}

async function say(
  tools: Tools,
  store: DeploymentStore,
  existing: DeploymentRow,
  wish: Wish,
): Promise<DeploymentRow | undefined> {
  const now = tools.clock();
  const isPaused = (wish.columns.paused ?? existing.paused) === 1;
  const removal = removeAutoRuns(tools.workspaceId, existing.id, now, "future");
  const written = await tools.db.batch([
    ...removal,
    store.update(existing.id, { ...asKept(existing, { ...wish.columns, labels: labelsOf(wish) }), updated: now }),
    ...keepVersion(tools, existing.id, now),
    store.removeSchedules(existing.id),
    ...insertSchedules(tools, store, existing.id, wish.body, { isPaused, before: schedulesOf(existing) }),
    ...limitStatements(tools, store, existing.id, existing, wish.body, now),
    store.select({ id: existing.id }),
  ]);
  await forgetRuns(tools, existing, written.slice(0, removal.length));
  return written.at(-1)?.rows[0] as DeploymentRow | undefined; // a row of the store's own select
}

/** Prefect: schedules are replaced by those of the body, and `max_scheduled_runs` is lost on this way. */
function insertSchedules(
  tools: Tools,
  store: DeploymentStore,
  id: string,
  body: DeploymentCreate,
  around: Around,
): Statement[] {
  const schedules = (body.schedules ?? []).map((schedule) => ({ ...schedule, max_scheduled_runs: null }));
  return schedules.length === 0 ? [] : [store.insertSchedules(id, scheduleRows(tools, id, schedules, around))];
}

/** Prefect: `with_system_labels_for_deployment`, the flow's labels, the system's, then the client's. */
function labelsOf({ body, labels }: Wish): string {
  return JSON.stringify({ ...labels, "prefect.flow.id": body.flow_id, ...body.labels });
}

/** Fields that are no columns, or whose columns are made of more than the field. */
const OTHERS = [
  "name",
  "flow_id",
  "labels",
  "schedules",
  "work_pool_name",
  "global_concurrency_limit_id",
] as const satisfies readonly (keyof DeploymentCreate)[];

/** The columns of a body's fields that are given; what cannot be null is left as it is where the body says null. */
export function columnsOf(body: Partial<DeploymentCreate> | DeploymentUpdate): Partial<DeploymentColumns> {
  const { global_concurrency_limit_id: limitId } = body;
  return {
    ...deployments.changes(body, OTHERS),
    ...(limitId !== undefined && { concurrency_limit_id: limitId }),
  };
}

/** Tells what happened, if anything did; the pool's object too, whose next poll makes the deployment READY. */
export async function announce(tools: Tools, before: DeploymentRow | undefined, after: DeploymentRow): Promise<void> {
  const changes = before && changesBetween(before, after);
  if (!before) tools.background(emitEvents(tools, [deploymentEvent(tools, "created", after)]));
  if (changes) tools.background(emitEvents(tools, [deploymentEvent(tools, "updated", after, changes)]));
  const hasMoved = after.work_queue_id !== null && before?.work_queue_id !== after.work_queue_id;
  if (hasMoved && after.pool_name !== null)
    await noticeDeployments(tools, after.pool_name, [after.work_queue_id ?? ""]);
}

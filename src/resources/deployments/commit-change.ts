/** Commits a change of a deployment and of its limit in one batch. Runs of its schedules are removed in the batch and created anew. */
import type { Statement } from "#db/database";
import type { DeploymentColumns } from "#db/rows/deployments";
import { emitEvents } from "#events/emit";
import type { Micros } from "#lib/clock";
import { limitChanged, limitsRemoved } from "#objects/concurrency-limits/client";
import { noticeDeployments } from "#objects/work-pool/client";
import { forgetDeployment } from "#orchestration/recent-runs";
import { changesBetween, deploymentEvent } from "#resources/deployments/events";
import { forgetRuns, removeAutoRuns } from "#resources/deployments/removals";
import { materialise } from "#resources/deployments/materialise";
import type { DeploymentCreate } from "#resources/deployments/schema";
import { type DeploymentRow, DeploymentStore, limitOf, ownLimitName } from "#resources/deployments/store";
import { asKept, keepVersion } from "#resources/deployments/versions-store";
import type { Tools } from "#tools";

/** The columns from which runs are made. If none of them changes, the existing runs may stay. */
const SHAPING = [
  "paused",
  "parameters",
  "tags",
  "version",
  "work_queue_id",
  "work_queue_name",
  "infrastructure_document_id",
  "parameter_openapi_schema",
  "enforce_parameter_schema",
] as const satisfies readonly (keyof DeploymentColumns)[];

/** A change of a deployment's columns, of its limit (`body`) and of its schedules. */
interface Change {
  body: LimitWish;
  columns: Partial<DeploymentColumns>;
  schedules: readonly Statement[];
}

/**
 * Commits a change and its new version. Notifies the work pool and the object of limits, and sends the event. Gives the
 * changed deployment, or undefined if another request deleted it meanwhile.
 */
export async function commitChange(
  tools: Tools,
  before: DeploymentRow,
  { body, columns, schedules }: Change,
): Promise<DeploymentRow | undefined> {
  const store = new DeploymentStore(tools);
  const now = tools.clock();
  const isReshaped =
    schedules.length > 0 || SHAPING.some((column) => column in columns && columns[column] !== before[column]);
  const statements = [
    store.update(before.id, { ...asKept(before, columns), updated: now }),
    ...keepVersion(tools, before.id, now),
    ...schedules,
    ...limitStatements(tools, { id: before.id, before, body, now }),
  ];
  const after = await commit(tools, before, { statements, removes: isReshaped ? "future" : "none", now });
  if (!after) return undefined;
  forgetDeployment(tools.workspaceId, before.id);
  await announce(tools, before, after);
  await tellOfLimit(tools, before, after, body);
  return after;
}

/** Statements that change a deployment, and which runs of its schedules are removed and created anew. */
interface Batch {
  statements: readonly Statement[];
  /**
   * Which runs of schedules are removed: runs that are not due yet (`future`), also late runs (`all`), or none. A run
   * that has begun is never removed.
   */
  removes: "future" | "all" | "none";
  /** The time of the change. */
  now: Micros;
}

/** Commits statements. Gives the changed deployment, or undefined if another request deleted it meanwhile. */
export async function commit(
  tools: Tools,
  before: DeploymentRow,
  { statements, removes, now }: Batch,
): Promise<DeploymentRow | undefined> {
  const { id } = before;
  const store = new DeploymentStore(tools);
  const isRestarted = removes !== "none";
  const removal = isRestarted ? removeAutoRuns(tools.workspaceId, id, now, removes) : [];
  const topUp = isRestarted ? [store.callForTopUp(id, now)] : [];
  const { row: after, written } = await store.commit(id, [...removal, ...statements, ...topUp]);
  await forgetRuns(tools, before, written.slice(0, removal.length));
  if (after && isRestarted) await materialise(tools, [after]);
  return after;
}

/** Sends the event of a change, if the change has one. Notifies the work pool of a new deployment: the next poll makes the deployment READY. */
export async function announce(tools: Tools, before: DeploymentRow | undefined, after: DeploymentRow): Promise<void> {
  const changes = before && changesBetween(before, after);
  if (!before) tools.background(emitEvents(tools, [deploymentEvent(tools, "created", after)]));
  if (changes) tools.background(emitEvents(tools, [deploymentEvent(tools, "updated", after, changes)]));
  const { work_queue_id: queueId, pool_name: poolName } = after;
  if (queueId !== null && poolName !== null && queueId !== before?.work_queue_id)
    await noticeDeployments(tools, poolName, [queueId]);
}

/** The fields of a body that set the limit. An absent field, null and a value differ. */
type LimitWish = Pick<DeploymentCreate, "concurrency_limit" | "global_concurrency_limit_id">;

/** The statements that change a deployment's own limit. They must follow the write of the body's columns. */
export function limitStatements(
  tools: Tools,
  { id, before, body, now }: { id: string; before?: DeploymentRow; body: LimitWish; now: Micros },
): Statement[] {
  const { concurrency_limit: limit, global_concurrency_limit_id: sharedId } = body;
  if (limit === undefined) return [];
  const present = (before && limitOf(before)?.limit) ?? null;
  if (sharedId === undefined && present === limit) return [];
  const store = new DeploymentStore(tools);
  if (limit !== null) return store.writeOwnLimit(id, tools.ids.random(), limit, now);
  if (!before) return [];
  return [
    store.removeOwnLimit(id),
    ...(sharedId ? [] : [store.update(id, { concurrency_limit_id: null, updated: now })]),
  ];
}

/** Notifies the object of limits, after the commit, that a deployment's own limit was changed or removed. Shared limits do not change. */
async function tellOfLimit(tools: Tools, before: DeploymentRow, after: DeploymentRow, body: LimitWish): Promise<void> {
  const own = ownLimitName(after.id);
  const [old, present] = [limitOf(before), limitOf(after)];
  const isSame = old?.id === present?.id && old?.limit === present?.limit;
  if (present?.name === own && !isSame) await limitChanged(tools, { id: present.id });
  const isRemoved = body.concurrency_limit === null && old?.name === own && old.id !== present?.id;
  if (isRemoved) await limitsRemoved(tools, [old.id]);
}

/** How a change of a deployment is committed: in one batch, with the runs of its schedules removed and made anew. */
import type { Statement } from "#db/database";
import { emitEvents } from "#events/emit";
import type { Micros } from "#lib/clock";
import { noticeDeployments } from "#objects/work-pool/client";
import { forgetDeployment } from "#orchestration/recent-runs";
import { changesBetween, deploymentEvent } from "#resources/deployments/events";
import { forgetRuns, removeAutoRuns } from "#resources/deployments/future-runs";
import { limitStatements, type LimitWish, tellOfLimit } from "#resources/deployments/limits";
import { materialise } from "#resources/deployments/materialise";
import { type DeploymentColumns, type DeploymentRow, DeploymentStore } from "#resources/deployments/store";
import { asKept, keepVersion } from "#resources/deployments/versions-store";
import type { Tools } from "#tools";

/** The columns that runs are made of. Where none of them changes, the runs that exist may stay. */
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
 * Commits a change with the version that comes of it, and tells the work pool, the limit's object and the events. Gives the
 * deployment as it is then, or undefined where it was deleted meanwhile.
 */
export async function commitChange(
  tools: Tools,
  before: DeploymentRow,
  { body, columns, schedules }: Change,
): Promise<DeploymentRow | undefined> {
  const store = new DeploymentStore(tools.db, tools.workspaceId);
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

/** Statements that change a deployment, and which runs of its schedules are removed and made anew. */
interface Batch {
  statements: readonly Statement[];
  /** Runs that schedules have made and that have not begun: those not due yet (`future`), late ones too (`all`), or none. */
  removes: "future" | "all" | "none";
  /** When the change is made. */
  now: Micros;
}

/** Commits statements. Gives the deployment as it is then, or undefined where it was deleted meanwhile. */
export async function commit(
  tools: Tools,
  before: DeploymentRow,
  { statements, removes, now }: Batch,
): Promise<DeploymentRow | undefined> {
  const { id } = before;
  const store = new DeploymentStore(tools.db, tools.workspaceId);
  const isRestarted = removes !== "none";
  const removal = isRestarted ? removeAutoRuns(tools.workspaceId, id, now, removes) : [];
  const topUp = isRestarted ? [store.callForTopUp(id, now)] : [];
  const { row: after, written } = await store.commit(id, [...removal, ...statements, ...topUp]);
  await forgetRuns(tools, before, written.slice(0, removal.length));
  if (after && isRestarted) await materialise(tools, [after]);
  return after;
}

/** Sends the event of a change, if the change has one. Tells the work pool of a new deployment: its next poll makes it READY. */
export async function announce(tools: Tools, before: DeploymentRow | undefined, after: DeploymentRow): Promise<void> {
  const changes = before && changesBetween(before, after);
  if (!before) tools.background(emitEvents(tools, [deploymentEvent(tools, "created", after)]));
  if (changes) tools.background(emitEvents(tools, [deploymentEvent(tools, "updated", after, changes)]));
  const { work_queue_id: queueId, pool_name: poolName } = after;
  if (queueId !== null && poolName !== null && queueId !== before?.work_queue_id)
    await noticeDeployments(tools, poolName, [queueId]);
}

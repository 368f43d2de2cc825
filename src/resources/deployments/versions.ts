/** Versions of a deployment are listed, read, archived and made the newest again. */
import { conflict, notFound, unavailable } from "#lib/api-error";
import { allOf, type Portions } from "#lib/portions";
import { commitChange } from "#resources/deployments/commit-change";
import { checkParameters } from "#resources/deployments/required-parameters";
import { type DeploymentRow, DeploymentStore, schedulesOf } from "#resources/deployments/store";
import { columnsOfVersion, type VersionRow, VersionStore } from "#resources/deployments/versions-store";
import type { Tools } from "#tools";

/** How a caller names a version. */
interface VersionKey {
  id: string;
  version_id: string;
}

const storeOf = (tools: Tools, id: string) => new VersionStore(tools.db, tools.workspaceId, id);
const deploymentOf = (tools: Tools, id: string) => new DeploymentStore(tools.db, tools.workspaceId).select({ id });

/** A page of a deployment's versions, newest first. */
export async function listVersions(
  tools: Tools,
  id: string,
  page: { limit: number; offset: number; withArchived: boolean },
): Promise<Portions<VersionRow>> {
  const store = storeOf(tools, id);
  const [deployments, versions] = await tools.db.readAll([deploymentOf(tools, id), store.list(page)]);
  if (deployments?.length === 0) throw notFound("Deployment");
  return store.inFull(rowsOf(versions));
}

/**
 * Makes the content of an older version the newest again, under a new ordinal. Like each change, it schedules runs anew. Done
 * twice, it is done once. Gives the newest version.
 */
export async function rollBack(tools: Tools, key: VersionKey): Promise<VersionRow> {
  const { deployment, version } = await readVersion(tools, key);
  if (version.is_current === 1) return version;
  refuseUnusable(version);
  const columns = columnsOfVersion(version);
  checkParameters({ ...deployment, ...columns }, deployment.paused === 1 ? [] : schedulesOf(deployment));
  await commitChange(tools, deployment, { body: {}, columns, schedules: [] });
  const store = storeOf(tools, key.id);
  const page = rowsOf(await tools.db.rows(store.list({ limit: 1, offset: 0, withArchived: true })));
  const [newest] = await allOf(store.inFull(page));
  if (!newest) throw unavailable("The deployment was deleted in the meantime.", 1);
  return newest;
}

/** Archives a version, or takes it out of the archive. Throws 409 for the newest version, which is in use. */
export async function setArchived(tools: Tools, key: VersionKey, isArchived: boolean): Promise<VersionRow> {
  const store = storeOf(tools, key.id);
  const written = await tools.db.batch([
    store.setArchived(key.version_id, isArchived ? tools.clock() : null),
    store.select([key.version_id]),
  ]);
  const [version] = rowsOf(written[1]?.rows);
  if (!version) throw notFound("Version");
  if (isArchived && version.archived === null) throw conflict("The newest version is in use and cannot be archived.");
  return version;
}

/** Throws 409 for a version that cannot be run any more: it is archived, or its work queue is gone. */
export function refuseUnusable(version: VersionRow): void {
  if (version.archived !== null) throw conflict(`Version ${version.ordinal} is archived.`);
  if (columnsOfVersion(version).work_queue_id !== null && version.pool_name === null)
    throw conflict(`The work queue of version ${version.ordinal} is no longer there.`);
}

/** A version and its deployment, in one round trip. Throws 404 where one of them is not there. */
export async function readVersion(
  tools: Tools,
  { id, version_id }: VersionKey,
): Promise<{ deployment: DeploymentRow; version: VersionRow }> {
  const [deployments = [], versions] = await tools.db.readAll([
    deploymentOf(tools, id),
    storeOf(tools, id).select([version_id]),
  ]);
  const deployment = deployments[0] as DeploymentRow | undefined; // a row of the store's own select
  if (!deployment) throw notFound("Deployment");
  const [version] = rowsOf(versions);
  if (!version) throw notFound("Version");
  return { deployment, version };
}

const rowsOf = (rows: unknown[] | undefined) => (rows ?? []) as VersionRow[]; // rows of the store's own select

/**
 * Lists, reads and archives versions of a deployment, makes an old version the newest again, and pins runs to versions.
 * The worker starts a pinned run from the run's own columns. The environment of the run has a variable with the
 * version. The process of the run sends the variable back in a header, and gets the deployment at that version.
 */
import { readJson, readOptionalJson } from "#db/database";
import { conflict, notFound, unavailable } from "#lib/api-error";
import { isObject } from "#lib/json-value";
import { allOf, type Portions } from "#lib/portions";
import { commitChange } from "#resources/deployments/commit-change";
import { readDeployment } from "#resources/deployments/read-deployment";
import { checkParameters } from "#resources/deployments/schedules";
import { type DeploymentRow, DeploymentStore, schedulesOf } from "#resources/deployments/store";
import { columnsOfVersion, type VersionRow, VersionStore } from "#resources/deployments/versions-store";
import type { Tools } from "#tools";
import type { VersionInfo } from "#wire/deployments";

/** How a caller names a version. */
interface VersionKey {
  id: string;
  version_id: string;
}

const storeOf = (tools: Tools, id: string) => new VersionStore(tools.db, tools.workspaceId, id);
const deploymentOf = (tools: Tools, id: string) => new DeploymentStore(tools).select({ id });

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

/** Copies the content of an older version to a new version, under a new ordinal, and creates the scheduled runs anew. A repeat is safe. */
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

/** Throws 409 for a version that cannot be run: it is archived, or its work queue was deleted. */
export function refuseUnusable(version: VersionRow): void {
  if (version.archived !== null) throw conflict(`Version ${version.ordinal} is archived.`);
  if (columnsOfVersion(version).work_queue_id !== null && version.pool_name === null)
    throw conflict(`The work queue of version ${version.ordinal} is no longer there.`);
}

/** A version and its deployment, in one round trip. Throws 404 if one of them does not exist. */
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

type Json = Record<string, unknown>;

/**
 * Prefect: a worker sets this variable for the processes that it starts. The client in the process sends the variable as the header
 * with every request, only for statistics (`prefect/client/attribution.py`). A job variable `env` overrides the worker's own value.
 */
const VARIABLE = "PREFECT__WORKER_NAME";
const HEADER = "X-Prefect-Worker-Name";
const WORD = /^deployment-version ([0-9a-f-]{36}) ([0-9a-f-]{36})$/;

/** Gives the deployment for a request: at the version to which the run is pinned, or the newest one. Throws 404. */
export async function readAsPinned(tools: Tools, id: string, request: Request): Promise<DeploymentRow> {
  const [, deploymentId, versionId = ""] = WORD.exec(request.headers.get(HEADER) ?? "") ?? [];
  if (deploymentId !== id) return readDeployment(tools, { id });
  const { deployment, version } = await readVersion(tools, { id, version_id: versionId });
  return atVersion(deployment, version);
}

/**
 * The job variables of a pinned run. Prefect: a worker merges the variables of a run into the deployment's present variables. So the
 * run gets all variables of the version. Variables that only the newest version has get the defaults of the template.
 */
export function pinnedVariables(newest: DeploymentRow, pinned: DeploymentRow, given: Json, template: Json): Json {
  const own = readJson<Json>(pinned.job_variables);
  const others = readJson<Json>(newest.job_variables);
  const properties = propertiesOf(template);
  const left = Object.keys(others).filter((name) => name !== "env" && !(name in own) && !(name in given));
  return {
    ...Object.fromEntries(left.map((name) => [name, defaultOf(properties[name])])),
    ...own,
    ...given,
    env: {
      ...Object.fromEntries(Object.keys(envOf(others)).map((name) => [name, null])),
      ...envOf(own),
      ...envOf(given),
      [VARIABLE]: `deployment-version ${pinned.id} ${String(pinned.version_id)}`,
    },
  };
}

/** The deployment with the content of a version. */
export function atVersion(row: DeploymentRow, version: VersionRow): DeploymentRow {
  const { queue_name, pool_id, pool_name, pool_type } = version;
  return { ...row, ...columnsOfVersion(version), version_id: version.id, queue_name, pool_id, pool_name, pool_type };
}

/** The labels of a run that is pinned to a version. Clients use the same labels in events of deployments. */
export function versionLabels(row: DeploymentRow): Record<string, string> {
  if (row.version_id === null) return {};
  const info = readOptionalJson<VersionInfo>(row.version_info);
  return {
    "prefect.deployment.version-id": row.version_id,
    ...(info && { "prefect.deployment.version-type": info.type }),
    ...((info?.version ?? row.version) !== null && {
      "prefect.deployment.version": info?.version ?? row.version ?? "",
    }),
  };
}

/** Throws 409 for a pool if its jobs take no environment: the process would not know its version, and would run the newest version. */
export function refuseWithoutEnv(template: Json): void {
  const { env } = propertiesOf(template);
  if (env === undefined)
    throw conflict("The work pool's template has no variable `env`, by which a run learns of its version.");
}

function propertiesOf(template: Json): Json {
  const { variables } = template;
  return isObject(variables) && isObject(variables["properties"]) ? variables["properties"] : {};
}

const defaultOf = (property: unknown) => (isObject(property) ? (property["default"] ?? null) : null);
const envOf = ({ env }: Json): Json => (isObject(env) ? env : {});

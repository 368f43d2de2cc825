/**
 * Runs that are pinned to an older version. The columns of the run say what the worker starts. A variable in the environment of
 * the run, which its process sends back in a header, says at which version the process is shown the deployment.
 */
import { readJson, readOptionalJson } from "#db/database";
import { conflict } from "#lib/api-error";
import { isObject } from "#lib/json-value";
import { readDeployment } from "#resources/deployments/read-deployment";
import type { DeploymentRow } from "#resources/deployments/store";
import { readVersion } from "#resources/deployments/versions";
import { columnsOfVersion, type VersionRow } from "#resources/deployments/versions-store";
import type { Tools } from "#tools";
import type { VersionInfo } from "#wire/deployments";

type Json = Record<string, unknown>;

/**
 * Prefect: a worker sets this variable for the processes that it starts, and their client sends it as the header with every
 * request, only for statistics (`prefect/client/attribution.py`). A job variable `env` comes before the worker's own.
 */
const VARIABLE = "PREFECT__WORKER_NAME";
const HEADER = "X-Prefect-Worker-Name";
const WORD = /^deployment-version ([0-9a-f-]{36}) ([0-9a-f-]{36})$/;

/** A deployment as a request sees it: at the version to which the run of the request is pinned, else as it is. Throws 404. */
export async function readAsPinned(tools: Tools, id: string, request: Request): Promise<DeploymentRow> {
  const [, deploymentId, versionId = ""] = WORD.exec(request.headers.get(HEADER) ?? "") ?? [];
  if (deploymentId !== id) return readDeployment(tools, { id });
  const { deployment, version } = await readVersion(tools, { id, version_id: versionId });
  return atVersion(deployment, version);
}

/**
 * The job variables of a pinned run. Prefect: a worker lays the variables of a run over those that the deployment has by then. So
 * the run gets all variables of the version, and those that only the newest version has get the defaults of the template.
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

/** Throws 409 for a pool whose jobs take no environment: the process would not know its version, and run the newest. */
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

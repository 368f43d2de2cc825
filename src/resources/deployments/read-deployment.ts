/** Reads a deployment that has to be there. */
import { refused } from "#lib/api-error";
import { type DeploymentKey, type DeploymentRow, DeploymentStore } from "#resources/deployments/store";
import type { Tools } from "#tools";

/** Prefect: the 404 of some routes ends with a full stop. */
type Missing = "Deployment not found" | "Deployment not found.";

/** Gives a deployment. Throws 404 with the words `missing` for an unknown one. */
export async function readDeployment(
  tools: Tools,
  key: DeploymentKey,
  missing: Missing = "Deployment not found",
): Promise<DeploymentRow> {
  const row = await new DeploymentStore(tools.db, tools.workspaceId).read(key);
  if (!row) throw refused(404, missing);
  return row;
}

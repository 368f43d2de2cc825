/** The criteria of deployments. */
import { type SQL, sql } from "drizzle-orm";
import * as z from "zod";
import { deployment } from "#db/tables/deployment";
import { flow } from "#db/tables/flow";
import { Uuid } from "#wire/ids";
import { Bool, Int } from "#wire/scalars";
import {
  anyId,
  anyOf,
  combinable,
  combine,
  containing,
  contains,
  criterion,
  flagIs,
  group,
  hasAllTags,
  hasAnyTag,
  hasNoTags,
  noneOf,
} from "./clause";
import { queueName } from "./queue-name";

/** Prefect: `DeploymentFilterConcurrencyLimit` is accepted and ignored. */
const DeploymentFilterConcurrencyLimit = z
  .strictObject({ ge_: Int.nullish(), le_: Int.nullish(), is_null_: Bool.nullish() })
  .meta({ id: "DeploymentFilterConcurrencyLimit" });

/** Prefect: a deployment that does not name a queue gets its pool's default queue, but is not found by that queue's name. */
const namedQueue = sql`iif(${deployment.work_queue_name} is null, null, ${queueName(deployment)})`;

export const deploymentFilter = combinable("DeploymentFilter", {
  id: group("DeploymentFilterId", { any_: anyId(deployment.id), not_any_: noneOf(Uuid, deployment.id) }),
  name: group("DeploymentFilterName", { any_: anyOf(z.string(), deployment.name), like_: contains(deployment.name) }),
  flow_or_deployment_name: group("DeploymentOrFlowNameFilter", { like_: criterion(z.string(), isNamedLike) }),
  paused: group("DeploymentFilterPaused", { eq_: flagIs(deployment.paused) }),
  tags: combinable("DeploymentFilterTags", {
    all_: hasAllTags(deployment.tags),
    any_: hasAnyTag(deployment.tags),
    is_null_: hasNoTags(deployment.tags),
  }),
  work_queue_name: group("DeploymentFilterWorkQueueName", { any_: anyOf(z.string(), namedQueue) }),
  concurrency_limit: criterion(DeploymentFilterConcurrencyLimit, () => undefined),
});

export const DeploymentFilter = deploymentFilter.schema;
export type DeploymentFilter = z.output<typeof DeploymentFilter>;

function isNamedLike(text: string, workspaceId: string): SQL | undefined {
  if (text === "") return undefined;
  const flowName = sql`(select owner.name from ${flow} as owner where owner.workspace_id = ${workspaceId} and owner.id = ${deployment.flow_id})`;
  return combine("or_", [containing(deployment.name, text), containing(flowName, text)]);
}

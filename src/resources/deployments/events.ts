/** The events of deployments, as Prefect writes them. Pure. */
import { deployments } from "#db/rows/deployments";
import type { Event } from "#events/event";
import { deploymentEvent as lifecycleEvent } from "#events/lifecycle";
import { sameJson } from "#lib/json-value";
import type { DeploymentRow } from "#resources/deployments/store";
import type { Tools } from "#tools";

/** The event of a change of a deployment. */
export function deploymentEvent(
  tools: Pick<Tools, "clock" | "ids">,
  happening: "created" | "updated" | "deleted" | "READY" | "NOT_READY",
  row: DeploymentRow,
  payload: Record<string, unknown> = {},
): Event {
  const { work_queue_id: queueId, pool_id: poolId } = row;
  const facts = {
    ...row,
    flow: row.flow_name === null ? null : { id: row.flow_id, name: row.flow_name },
    work_queue: queueId === null || row.queue_name === null ? null : { id: queueId, name: row.queue_name },
    work_pool:
      poolId === null || row.pool_name === null ? null : { id: poolId, name: row.pool_name, type: row.pool_type ?? "" },
  };
  const occurred = tools.clock();
  return lifecycleEvent(facts, happening, { id: tools.ids.ordered(occurred), occurred }, payload);
}

/** Prefect: DEPLOYMENT_EVENT_FIELDS, under the names of the columns. */
const EVENT_FIELDS = [
  "description",
  "tags",
  "parameters",
  "parameter_openapi_schema",
  "enforce_parameter_schema",
  "entrypoint",
  "path",
  "pull_steps",
  "work_queue_id",
  "infra_overrides",
  "paused",
  "labels",
  "version",
  "concurrency_limit_id",
  "concurrency_options",
] as const;

/** The payload of `prefect.deployment.updated`: the differences between two rows. Undefined without differences. */
export function changesBetween(before: DeploymentRow, after: DeploymentRow): Record<string, unknown> | undefined {
  const [from, to] = [eventFields(before), eventFields(after)];
  const fields = EVENT_FIELDS.filter((field) => !sameJson(from[field], to[field]));
  if (fields.length === 0) return undefined;
  const updates = fields.map((field) => [field, { from: from[field], to: to[field] }]);
  return { updated_fields: fields, updates: Object.fromEntries(updates) };
}

function eventFields(row: DeploymentRow) {
  const { job_variables: infra_overrides, ...shown } = deployments.print(row);
  return { ...shown, infra_overrides, concurrency_limit_id: row.concurrency_limit_id };
}

/** The events of a deployment's life, as the original words them. Pure. */
import { readJson } from "#db/database";
import type { Event } from "#events/event";
import { deploymentEvent as lifecycleEvent } from "#events/lifecycle";
import { sameJson } from "#lib/json-value";
import type { DeploymentRow } from "#resources/deployments/store";
import type { Tools } from "#tools";

/** What happened to a deployment. */
export type DeploymentHappening = "created" | "updated" | "deleted" | "READY" | "NOT_READY";

/** The event that tells what happened to a deployment. */
export function deploymentEvent(
  tools: Pick<Tools, "clock" | "ids">,
  happening: DeploymentHappening,
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

/** What changed from one row to the next, or undefined: the payload of `prefect.deployment.updated`. */
export function changesBetween(before: DeploymentRow, after: DeploymentRow): Record<string, unknown> | undefined {
  const [from, to] = [told(before), told(after)];
  const updates = Object.fromEntries(
    Object.keys(from).flatMap((field) =>
      sameJson(from[field], to[field]) ? [] : [[field, { from: from[field], to: to[field] }]],
    ),
  );
  const fields = Object.keys(updates);
  return fields.length === 0 ? undefined : { updated_fields: fields, updates };
}

/** Prefect: DEPLOYMENT_EVENT_FIELDS, under the names of its columns. */
function told(row: DeploymentRow): Record<string, unknown> {
  const json = (text: string | null) => (text === null ? null : readJson<unknown>(text));
  return {
    description: row.description,
    tags: json(row.tags),
    parameters: json(row.parameters),
    parameter_openapi_schema: json(row.parameter_openapi_schema),
    enforce_parameter_schema: row.enforce_parameter_schema === 1,
    entrypoint: row.entrypoint,
    path: row.path,
    pull_steps: json(row.pull_steps),
    work_queue_id: row.work_queue_id,
    infra_overrides: json(row.job_variables),
    paused: row.paused === 1,
    labels: json(row.labels),
    version: row.version,
    concurrency_limit_id: row.concurrency_limit_id,
    concurrency_options: json(row.concurrency_options),
  };
}

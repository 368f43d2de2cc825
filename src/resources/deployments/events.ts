/** The events of a deployment's life, as the original words them. Pure. */
import { readJson } from "#db/database";
import type { Event, Resource } from "#events/event";
import { sameJson } from "#lib/json-schema";
import type { DeploymentRow } from "#resources/deployments/store";
import type { Tools } from "#tools";
import { printTime } from "#wire/dates";

/** What happened to a deployment. */
export type DeploymentHappening = "created" | "updated" | "deleted" | "ready" | "not-ready";

/** The event that tells what happened to a deployment. */
export function deploymentEvent(
  tools: Pick<Tools, "clock" | "ids">,
  happening: DeploymentHappening,
  row: DeploymentRow,
  payload: Record<string, unknown> = {},
): Event {
  const now = tools.clock();
  return {
    id: tools.ids.ordered(now),
    occurred: printTime(now),
    event: `prefect.deployment.${happening}`,
    resource: { "prefect.resource.id": `prefect.deployment.${row.id}`, "prefect.resource.name": row.name },
    related: relatedTo(row),
    payload,
    follows: null,
  };
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

function relatedTo(row: DeploymentRow): Resource[] {
  return [
    ...resource("flow", `prefect.flow.${row.flow_id}`, row.flow_name),
    ...(row.work_queue_id === null
      ? []
      : resource("work-queue", `prefect.work-queue.${row.work_queue_id}`, row.queue_name)),
    ...(row.pool_id === null
      ? []
      : resource("work-pool", `prefect.work-pool.${row.pool_id}`, row.pool_name, {
          "prefect.work-pool.type": row.pool_type ?? "",
        })),
    ...unnamed("storage", "prefect.block-document", row.storage_document_id),
    ...unnamed("infrastructure", "prefect.block-document", row.infrastructure_document_id),
    ...unnamed("concurrency-limit", "prefect.concurrency-limit", row.concurrency_limit_id),
  ];
}

function resource(role: string, id: string, name: string | null, labels: Resource = {}): Resource[] {
  if (name === null) return [];
  return [{ "prefect.resource.id": id, "prefect.resource.name": name, ...labels, "prefect.resource.role": role }];
}

function unnamed(role: string, kind: string, id: string | null): Resource[] {
  return id === null ? [] : [{ "prefect.resource.id": `${kind}.${id}`, "prefect.resource.role": role }];
}

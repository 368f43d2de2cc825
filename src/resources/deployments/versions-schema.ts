/** Versions of deployments on the wire. Ours; stock clients do not know them. */
import * as z from "zod";
import { TimeText } from "#wire/dates";
import { UuidText } from "#wire/ids";
import { JsonObject, Labels } from "#wire/scalars";
import { VersionInfo } from "#wire/deployments";

/** A version in a list. */
export const DeploymentVersionSummary = z
  .object({
    id: UuidText,
    created: TimeText,
    deployment_id: UuidText,
    ordinal: z.int(),
    is_current: z.boolean(),
    archived: TimeText.nullable(),
    version: z.string().nullable(),
    version_info: VersionInfo.nullable(),
    description: z.string().nullable(),
    entrypoint: z.string().nullable(),
  })
  .meta({ id: "DeploymentVersionSummary" });

/** A version with all that it says. */
export const DeploymentVersion = z
  .object({
    ...DeploymentVersionSummary.shape,
    tags: z.array(z.string()),
    labels: Labels.nullable(),
    path: z.string().nullable(),
    pull_steps: z.array(JsonObject).nullable(),
    parameters: JsonObject,
    parameter_openapi_schema: JsonObject.nullable(),
    enforce_parameter_schema: z.boolean(),
    job_variables: JsonObject,
    work_queue_id: UuidText.nullable(),
    work_queue_name: z.string().nullable(),
    work_pool_name: z.string().nullable(),
    storage_document_id: UuidText.nullable(),
    infrastructure_document_id: UuidText.nullable(),
  })
  .meta({ id: "DeploymentVersion" });

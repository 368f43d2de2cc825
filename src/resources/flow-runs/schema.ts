/** Flow runs on the wire. */
import { ShortText, SizedObject, SizedParameters, Tags } from "#wire/sizes";
import * as z from "zod";
import { Uuid } from "#wire/ids";
import { Labels } from "#wire/scalars";
import { FlowRunPolicy } from "#wire/runs";
import { StateCreate } from "#wire/state";

export const FlowRunCreate = z
  .strictObject({
    state: StateCreate.nullish(),
    name: ShortText.nullish(),
    flow_id: Uuid,
    flow_version: ShortText.nullish(),
    parameters: SizedParameters.optional(),
    context: SizedObject.optional(),
    parent_task_run_id: Uuid.nullish(),
    infrastructure_document_id: Uuid.nullish(),
    empirical_policy: FlowRunPolicy.optional(),
    tags: Tags.optional(),
    labels: Labels.nullish(),
    idempotency_key: ShortText.nullish(),
    work_pool_name: ShortText.nullish(),
    work_queue_name: ShortText.nullish(),
    job_variables: SizedObject.nullish(),
    deployment_id: Uuid.nullish(),
  })
  .meta({ id: "FlowRunCreate" });

export const FlowRunUpdate = z
  .strictObject({
    name: ShortText.nullish(),
    flow_version: ShortText.nullish(),
    parameters: SizedParameters.optional(),
    empirical_policy: FlowRunPolicy.optional(),
    tags: Tags.optional(),
    infrastructure_pid: ShortText.nullish(),
    job_variables: SizedObject.nullish(),
  })
  .meta({ id: "FlowRunUpdate" });

/** Flow runs in answers, which several resources give. */
import * as z from "zod";
import { TimeText } from "#wire/dates";
import { UuidText } from "#wire/ids";
import { FlowRunPolicy } from "#wire/run-policy";
import { JsonObject, Labels } from "#wire/scalars";
import { StateText, StateType } from "#wire/state";

export const CreatedBy = z
  .object({ id: UuidText.nullable(), type: z.string().nullable(), display_value: z.string().nullable() })
  .meta({ id: "CreatedBy" });

/** A flow run in an answer. */
export const FlowRunResponse = z
  .object({
    id: UuidText,
    created: TimeText,
    updated: TimeText,
    name: z.string(),
    flow_id: UuidText,
    state_id: UuidText.nullable(),
    deployment_id: UuidText.nullable(),
    deployment_version: z.string().nullable(),
    work_queue_id: UuidText.nullable(),
    work_queue_name: z.string().nullable(),
    flow_version: z.string().nullable(),
    parameters: JsonObject,
    idempotency_key: z.string().nullable(),
    context: JsonObject,
    empirical_policy: FlowRunPolicy,
    tags: z.array(z.string()),
    labels: Labels.nullable(),
    parent_task_run_id: UuidText.nullable(),
    state_type: StateType.nullable(),
    state_name: z.string().nullable(),
    run_count: z.int(),
    expected_start_time: TimeText.nullable(),
    next_scheduled_start_time: TimeText.nullable(),
    start_time: TimeText.nullable(),
    end_time: TimeText.nullable(),
    total_run_time: z.number(),
    estimated_run_time: z.number(),
    estimated_start_time_delta: z.number(),
    auto_scheduled: z.boolean(),
    infrastructure_document_id: UuidText.nullable(),
    infrastructure_pid: z.string().nullable(),
    created_by: CreatedBy.nullable(),
    work_pool_id: UuidText.nullable(),
    work_pool_name: z.string().nullable(),
    state: StateText.nullable(),
    job_variables: JsonObject.nullable(),
  })
  .meta({ id: "FlowRunResponse" });

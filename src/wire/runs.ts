/** Parts of runs for several resources: a flow run in an answer, policies of retries and pauses, inputs of tasks. */
import { namedObject } from "#wire/named";
import * as z from "zod";
import { TimeText } from "#wire/dates";
import { EntityText, Uuid, UuidText } from "#wire/ids";
import { Bool, branchNames, Float, Int, JsonObject, Labels, literal } from "#wire/scalars";
import { listOf, ShortText } from "#wire/sizes";
import { StateText, StateType } from "#wire/state";

const retired = { max_retries: Int.optional(), retry_delay_seconds: Float.optional() };

/**
 * Prefect: `set_run_policy_deprecated_fields`. An old field counts if the new field has no value. An old delay that the
 * new field would refuse is refused under the name of the new field.
 */
function heedRetired<
  T extends { max_retries?: number; retry_delay_seconds?: number; retries?: number | null; retry_delay?: unknown },
>(policy: T, context: z.core.$RefinementCtx, wholeSeconds: boolean): T {
  const { max_retries: retries, retry_delay_seconds: delay } = policy;
  const heeded = { ...policy };
  if (!policy.retries && retries) heeded.retries = retries;
  if (policy.retry_delay || !delay) return heeded;
  if (wholeSeconds && !Number.isInteger(delay)) {
    context.addIssue({
      code: "custom",
      path: ["retry_delay"],
      message: "Input should be a valid integer, got a number with a fractional part",
      params: { type: "int_from_float", input: delay },
    });
  }
  heeded.retry_delay = delay;
  return heeded;
}

export const FlowRunPolicy = z
  .object({
    ...retired,
    retries: Int.nullish(),
    retry_delay: Int.nullish(),
    pause_keys: listOf(ShortText, 1_000).nullish(),
    resuming: Bool.nullish(),
    retry_type: literal("in_process", "reschedule").nullish(),
  })
  .meta({ id: "FlowRunPolicy" })
  .transform((policy, context) => heedRetired(policy, context, true));
/** The empirical policy of a flow run. The run's row has the policy as JSON. */
export type FlowRunPolicy = z.output<typeof FlowRunPolicy>;

/** Prefect: `list_length_50_or_less`. */
const MOST_DELAYS = 50;

export const TaskRunPolicy = z
  .object({
    ...retired,
    retries: Int.nullish(),
    retry_delay: z
      .union([Float, z.array(Float)])
      .refine((delay) => !Array.isArray(delay) || delay.length <= MOST_DELAYS, {
        message: `Can not configure more than ${MOST_DELAYS} retry delays per task.`,
      })
      .nullish(),
    retry_jitter_factor: Float.refine((factor) => factor >= 0, {
      message: "`retry_jitter_factor` must be >= 0.",
    }).nullish(),
  })
  .meta({ id: "TaskRunPolicy" })
  .transform((policy, context) => heedRetired(policy, context, false));
/** The empirical policy of a task run. The run's row has the policy as JSON. */
export type TaskRunPolicy = z.output<typeof TaskRunPolicy>;

export const CreatedBy = namedObject("CreatedBy", {
  id: UuidText.nullable(),
  type: z.string().nullable(),
  display_value: z.string().nullable(),
});

/** A flow run in an answer. */
export const FlowRunResponse = namedObject("FlowRunResponse", {
  ...EntityText,
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
});

const TaskRunInput = z.union(
  [
    namedObject("TaskRunResult", { input_type: z.literal("task_run").optional(), id: Uuid }),
    namedObject("FlowRunResult", { input_type: z.literal("flow_run").optional(), id: Uuid }),
    namedObject("Parameter", { input_type: z.literal("parameter").optional(), name: z.string() }),
    namedObject("Constant", { input_type: z.literal("constant").optional(), type: z.string() }),
  ],
  branchNames("TaskRunResult", "FlowRunResult", "Parameter", "Constant"),
);

/** The inputs of a task run by the names of its parameters. */
export const TaskInputs = z.record(z.string(), z.array(TaskRunInput));

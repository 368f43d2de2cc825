/** Work pools, their queues and their workers on the wire. */
import { namedObject, namedStrictObject } from "#wire/named";
import * as z from "zod";
import { LongText, Name, ShortText, SizedObject, listOf, Tags } from "#wire/sizes";
import { WorkerStatus } from "#filters/workers";
import { FlowRunResponse } from "#wire/runs";
import { templateProblem } from "#resources/work-pools/job-variables";
import { Time, TimeText } from "#wire/dates";
import { Uuid, UuidText, EntityText } from "#wire/ids";
import { Bool, Int, intFrom, JsonObject } from "#wire/scalars";
import { StateType } from "#wire/state";

/** Prefect: `NonEmptyishName`. Spaces and quotes do not count. */
const PoolName = unlessWrong(ShortText, (name) =>
  name.replaceAll(/[ '"]/g, "") === "" ? "name cannot be an empty string" : null,
);

const BaseJobTemplate = unlessWrong(SizedObject, templateProblem);

/** Makes a schema that refuses a value with a problem, with Prefect's error. */
function unlessWrong<S extends z.ZodType>(schema: S, problemOf: (value: z.output<S>) => string | null) {
  return schema.transform((value, context) => {
    const problem = problemOf(value);
    if (problem === null) return value;
    context.addIssue({
      code: "custom",
      message: `Value error, ${problem}`,
      params: { type: "value_error", ctx: { error: {} } },
    });
    return z.NEVER;
  });
}

const WorkPoolStorageConfiguration = namedStrictObject("WorkPoolStorageConfiguration", {
  bundle_upload_step: SizedObject.nullish(),
  bundle_execution_step: SizedObject.nullish(),
  default_result_storage_block_id: Uuid.nullish(),
});

export const WorkPoolCreate = namedStrictObject("WorkPoolCreate", {
  name: PoolName.pipe(Name),
  description: LongText.nullish(),
  type: ShortText.default("prefect-agent"),
  base_job_template: BaseJobTemplate.optional(),
  is_paused: Bool.default(false),
  concurrency_limit: intFrom(0).nullish(),
  storage_configuration: WorkPoolStorageConfiguration.default({}),
});
export type WorkPoolCreate = z.output<typeof WorkPoolCreate>;

export const WorkPoolUpdate = namedStrictObject("WorkPoolUpdate", {
  description: LongText.nullish(),
  is_paused: Bool.nullish(),
  base_job_template: BaseJobTemplate.nullish(),
  concurrency_limit: intFrom(0).nullish(),
  storage_configuration: WorkPoolStorageConfiguration.nullish(),
});
export type WorkPoolUpdate = z.output<typeof WorkPoolUpdate>;

const WorkPoolStatus = z.enum(["READY", "NOT_READY", "PAUSED"]).meta({ id: "WorkPoolStatus" });

/** A work pool in an answer. */
export const WorkPoolResponse = namedObject("WorkPoolResponse", {
  ...EntityText,
  name: z.string(),
  description: z.string().nullable(),
  type: z.string(),
  base_job_template: JsonObject,
  is_paused: z.boolean(),
  concurrency_limit: z.int().nullable(),
  status: WorkPoolStatus.nullable(),
  default_queue_id: UuidText.nullable(),
  storage_configuration: namedObject("WorkPoolStorageConfigurationResponse", {
    bundle_upload_step: JsonObject.nullable(),
    bundle_execution_step: JsonObject.nullable(),
    /** Prefect: left out for clients up to 3.3.7, which fail on this field. */
    default_result_storage_block_id: UuidText.nullable().optional(),
  }),
  active_slots: z.int().nullable(),
});

/** A worker in an answer. */
export const WorkerResponse = namedObject("WorkerResponse", {
  ...EntityText,
  name: z.string(),
  work_pool_id: UuidText,
  last_heartbeat_time: TimeText.nullable(),
  heartbeat_interval_seconds: z.int().nullable(),
  status: WorkerStatus,
});

/** A run that a worker gets. */
export const WorkerFlowRunResponse = namedObject("WorkerFlowRunResponse", {
  work_pool_id: UuidText,
  work_queue_id: UuidText,
  flow_run: FlowRunResponse.omit({ work_pool_id: true, work_pool_name: true }).meta({ id: "WorkerFlowRun" }),
});

/** The maximum of Postgres' integers. A queue may move others by one many times, and priorities must stay exact. */
const MAX_PRIORITY = 2_147_483_647;
const Priority = Int.pipe(z.number().gt(0).max(MAX_PRIORITY));

/** Prefect: the filter that queues had before there were work pools. */
const QueueFilter = namedObject("QueueFilter", {
  tags: Tags.nullish().transform((tags) => tags ?? null),
  deployment_ids: listOf(Uuid, 1_000)
    .nullish()
    .transform((ids) => ids ?? null),
});

export const WorkQueueCreate = namedStrictObject("WorkQueueCreate", {
  name: Name,
  // Prefect: its client sends null for a queue without a description.
  description: LongText.nullable()
    .default("")
    .transform((text) => text ?? ""),
  is_paused: Bool.default(false),
  concurrency_limit: intFrom(0).nullish(),
  priority: Priority.nullish(),
  filter: QueueFilter.nullish(),
});
export type WorkQueueCreate = z.output<typeof WorkQueueCreate>;

export const WorkQueueUpdate = namedStrictObject("WorkQueueUpdate", {
  name: ShortText.nullish(),
  description: LongText.nullish(),
  is_paused: Bool.optional(),
  concurrency_limit: intFrom(0).nullish(),
  priority: Priority.nullish(),
  last_polled: Time.nullish(),
  filter: QueueFilter.nullish(),
});
export type WorkQueueUpdate = z.output<typeof WorkQueueUpdate>;

const WorkQueueStatus = z.enum(WorkPoolStatus.options).meta({ id: "WorkQueueStatus" });

/** A work queue in an answer. */
export const WorkQueueResponse = namedObject("WorkQueueResponse", {
  ...EntityText,
  name: z.string(),
  description: z.string().nullable(),
  is_paused: z.boolean(),
  concurrency_limit: z.int().nullable(),
  priority: z.int(),
  work_pool_id: UuidText.nullable(),
  filter: QueueFilter.nullable(),
  last_polled: TimeText.nullable(),
  work_pool_name: z.string().nullable(),
  status: WorkQueueStatus.nullable(),
  active_slots: z.int().nullable(),
});

const WorkQueueHealthPolicy = namedObject("WorkQueueHealthPolicy", {
  maximum_late_runs: z.int().nullable(),
  maximum_seconds_since_last_polled: z.int().nullable(),
});

export const WorkQueueStatusDetail = namedObject("WorkQueueStatusDetail", {
  healthy: z.boolean(),
  late_runs_count: z.int(),
  last_polled: TimeText.nullable(),
  health_check_policy: WorkQueueHealthPolicy,
});

/** A run that occupies a slot. */
const FlowRunSlotSummary = namedObject("FlowRunSlotSummary", {
  id: UuidText,
  name: z.string(),
  state_type: StateType.nullable(),
  state_name: z.string().nullable(),
  start_time: TimeText.nullable(),
  state_timestamp: TimeText.nullable(),
  time_in_current_state: z.number().nullable(),
});

/** The position of a page in a list of runs in slots, or of queues. */
const PageOfSlots = { count: z.int(), limit: z.int(), pages: z.int(), page: z.int() };

export const WorkQueueConcurrencyStatus = namedObject("WorkQueueConcurrencyStatus", {
  active_slots: z.int(),
  concurrency_limit: z.int().nullable(),
  flow_runs: z.array(FlowRunSlotSummary),
  ...PageOfSlots,
});

export const WorkPoolConcurrencyStatus = namedObject("WorkPoolConcurrencyStatus", {
  active_slots: z.int(),
  concurrency_limit: z.int().nullable(),
  queues: z.array(
    namedObject("WorkQueueConcurrencyStatusDetail", {
      queue_id: UuidText,
      queue_name: z.string(),
      active_slots: z.int(),
      concurrency_limit: z.int().nullable(),
      flow_runs: z.array(FlowRunSlotSummary),
      flow_run_count: z.int().nullable(),
    }),
  ),
  ...PageOfSlots,
});

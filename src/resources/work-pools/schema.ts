/** Work pools and their workers on the wire. */
import { LongText, Name, ShortText, SizedObject } from "#wire/sizes";
import * as z from "zod";
import { WorkerStatus } from "#filters/workers";
import { FlowRunResponse } from "#wire/runs";
import { templateProblem } from "#resources/work-pools/job-variables";
import { FlowRunSlotSummary, PageOfSlots } from "#resources/work-pools/queue-schema";
import { TimeText } from "#wire/dates";
import { EntityText, Uuid, UuidText } from "#wire/ids";
import { Bool, intFrom, JsonObject } from "#wire/scalars";

/** Prefect: `NonEmptyishName`, quotes count as nothing. */
const PoolName = unlessWrong(ShortText, (name) =>
  name.replaceAll(/[ '"]/g, "") === "" ? "name cannot be an empty string" : null,
);

const BaseJobTemplate = unlessWrong(SizedObject, templateProblem);

/** A value, or the original's error of a value that has a problem. */
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

const WorkPoolStorageConfiguration = z
  .strictObject({
    bundle_upload_step: SizedObject.nullish(),
    bundle_execution_step: SizedObject.nullish(),
    default_result_storage_block_id: Uuid.nullish(),
  })
  .meta({ id: "WorkPoolStorageConfiguration" });

export const WorkPoolCreate = z
  .strictObject({
    name: PoolName.pipe(Name),
    description: LongText.nullish(),
    type: ShortText.default("prefect-agent"),
    base_job_template: BaseJobTemplate.optional(),
    is_paused: Bool.default(false),
    concurrency_limit: intFrom(0).nullish(),
    storage_configuration: WorkPoolStorageConfiguration.default({}),
  })
  .meta({ id: "WorkPoolCreate" });
export type WorkPoolCreate = z.output<typeof WorkPoolCreate>;

export const WorkPoolUpdate = z
  .strictObject({
    description: LongText.nullish(),
    is_paused: Bool.nullish(),
    base_job_template: BaseJobTemplate.nullish(),
    concurrency_limit: intFrom(0).nullish(),
    storage_configuration: WorkPoolStorageConfiguration.nullish(),
  })
  .meta({ id: "WorkPoolUpdate" });
export type WorkPoolUpdate = z.output<typeof WorkPoolUpdate>;

const WorkPoolStatus = z.enum(["READY", "NOT_READY", "PAUSED"]).meta({ id: "WorkPoolStatus" });

/** A work pool in an answer. */
export const WorkPoolResponse = z
  .object({
    ...EntityText,
    name: z.string(),
    description: z.string().nullable(),
    type: z.string(),
    base_job_template: JsonObject,
    is_paused: z.boolean(),
    concurrency_limit: z.int().nullable(),
    status: WorkPoolStatus.nullable(),
    default_queue_id: UuidText.nullable(),
    storage_configuration: z
      .object({
        bundle_upload_step: JsonObject.nullable(),
        bundle_execution_step: JsonObject.nullable(),
        /** Prefect: left out for clients up to 3.3.7, which would fail on it. */
        default_result_storage_block_id: UuidText.nullable().optional(),
      })
      .meta({ id: "WorkPoolStorageConfigurationResponse" }),
    active_slots: z.int().nullable(),
  })
  .meta({ id: "WorkPoolResponse" });

/** A worker in an answer. */
export const WorkerResponse = z
  .object({
    ...EntityText,
    name: z.string(),
    work_pool_id: UuidText,
    last_heartbeat_time: TimeText.nullable(),
    heartbeat_interval_seconds: z.int().nullable(),
    status: WorkerStatus,
  })
  .meta({ id: "WorkerResponse" });

/** A run that is handed to a worker. */
export const WorkerFlowRunResponse = z
  .object({
    work_pool_id: UuidText,
    work_queue_id: UuidText,
    flow_run: FlowRunResponse.omit({ work_pool_id: true, work_pool_name: true }).meta({ id: "WorkerFlowRun" }),
  })
  .meta({ id: "WorkerFlowRunResponse" });

export const WorkPoolConcurrencyStatus = z
  .object({
    active_slots: z.int(),
    concurrency_limit: z.int().nullable(),
    queues: z.array(
      z
        .object({
          queue_id: UuidText,
          queue_name: z.string(),
          active_slots: z.int(),
          concurrency_limit: z.int().nullable(),
          flow_runs: z.array(FlowRunSlotSummary),
          flow_run_count: z.int().nullable(),
        })
        .meta({ id: "WorkQueueConcurrencyStatusDetail" }),
    ),
    ...PageOfSlots,
  })
  .meta({ id: "WorkPoolConcurrencyStatus" });

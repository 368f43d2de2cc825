/** Work queues on the wire. */
import * as z from "zod";
import { Time, TimeText } from "#wire/dates";
import { EntityText, Uuid, UuidText } from "#wire/ids";
import { Bool, Int, intFrom } from "#wire/scalars";
import { StateType } from "#wire/state";
import { listOf, LongText, Name, ShortText, Tags } from "#wire/sizes";

/** As large as Postgres' integers. A queue may move others by one many times, and their numbers must stay exact. */
const MAX_PRIORITY = 2_147_483_647;
const Priority = Int.pipe(z.number().gt(0).max(MAX_PRIORITY));

/** Prefect: the filter of queues from before work pools. */
const QueueFilter = z
  .object({
    tags: Tags.nullish().transform((tags) => tags ?? null),
    deployment_ids: listOf(Uuid, 1_000)
      .nullish()
      .transform((ids) => ids ?? null),
  })
  .meta({ id: "QueueFilter" });

export const WorkQueueCreate = z
  .strictObject({
    name: Name,
    description: LongText.nullable().default(""),
    is_paused: Bool.default(false),
    concurrency_limit: intFrom(0).nullish(),
    priority: Priority.nullish(),
    filter: QueueFilter.nullish(),
  })
  .meta({ id: "WorkQueueCreate" });
export type WorkQueueCreate = z.output<typeof WorkQueueCreate>;

export const WorkQueueUpdate = z
  .strictObject({
    name: ShortText.nullish(),
    description: LongText.nullish(),
    is_paused: Bool.optional(),
    concurrency_limit: intFrom(0).nullish(),
    priority: Priority.nullish(),
    last_polled: Time.nullish(),
    filter: QueueFilter.nullish(),
  })
  .meta({ id: "WorkQueueUpdate" });
export type WorkQueueUpdate = z.output<typeof WorkQueueUpdate>;

const WorkQueueStatus = z.enum(["READY", "NOT_READY", "PAUSED"]).meta({ id: "WorkQueueStatus" });

/** A work queue in an answer. */
export const WorkQueueResponse = z
  .object({
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
  })
  .meta({ id: "WorkQueueResponse" });

const WorkQueueHealthPolicy = z
  .object({ maximum_late_runs: z.int().nullable(), maximum_seconds_since_last_polled: z.int().nullable() })
  .meta({ id: "WorkQueueHealthPolicy" });

export const WorkQueueStatusDetail = z
  .object({
    healthy: z.boolean(),
    late_runs_count: z.int(),
    last_polled: TimeText.nullable(),
    health_check_policy: WorkQueueHealthPolicy,
  })
  .meta({ id: "WorkQueueStatusDetail" });

/** A run that occupies a slot. */
export const FlowRunSlotSummary = z
  .object({
    id: UuidText,
    name: z.string(),
    state_type: StateType.nullable(),
    state_name: z.string().nullable(),
    start_time: TimeText.nullable(),
    state_timestamp: TimeText.nullable(),
    time_in_current_state: z.number().nullable(),
  })
  .meta({ id: "FlowRunSlotSummary" });

/** Where a page lies in the list of the slots' holders or of the queues. */
export const PageOfSlots = { count: z.int(), limit: z.int(), pages: z.int(), page: z.int() };

export const WorkQueueConcurrencyStatus = z
  .object({
    active_slots: z.int(),
    concurrency_limit: z.int().nullable(),
    flow_runs: z.array(FlowRunSlotSummary),
    ...PageOfSlots,
  })
  .meta({ id: "WorkQueueConcurrencyStatus" });

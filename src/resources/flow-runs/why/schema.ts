/** Why a run has not started, on the wire. */
import { namedObject } from "#wire/named";
import * as z from "zod";
import { TimeText } from "#wire/dates";
import { UuidText } from "#wire/ids";
import { StateType } from "#wire/state";

const OptionalTime = TimeText.nullable();

/** A holder of a slot. It has the slot since `since`. The lease expires at `until`, unless it is renewed. */
export const SlotHolder = namedObject("SlotHolder", {
  type: z.enum(["flow_run", "task_run", "deployment"]),
  id: UuidText,
  name: z.string().nullable(),
  state_name: z.string().nullable(),
  since: OptionalTime,
  until: OptionalTime,
});
export type SlotHolder = z.output<typeof SlotHolder>;

const Limited = { limit: z.int(), in_use: z.int(), holders: z.array(SlotHolder) };
const OfLimit = { limit_id: UuidText, limit_name: z.string(), ...Limited };
const OfPool = { work_pool_id: UuidText, work_pool_name: z.string() };
const OfQueue = { ...OfPool, work_queue_id: UuidText, work_queue_name: z.string() };
const OfDeployment = { deployment_id: UuidText, deployment_name: z.string() };
const PoolWorker = namedObject("WhyWorker", {
  name: z.string(),
  type: z.string().nullable(),
  last_heartbeat: TimeText,
});

/** A reason. `facts` show that the reason is true. `since` is the time since which the reason is true, if known. */
const reason = <Code extends string, Facts extends z.core.$ZodLooseShape>(code: Code, facts: Facts) =>
  z.object({ code: z.literal(code), message: z.string(), facts: z.object(facts), since: OptionalTime });

export const WhyReason = z
  .discriminatedUnion("code", [
    reason("ended", { state_type: StateType, state_name: z.string(), start_time: OptionalTime }),
    reason("running", { start_time: OptionalTime }),
    reason("cancelling", { infrastructure_pid: z.string().nullable() }),
    reason("paused", { until: OptionalTime, waits_for_input: z.boolean() }),
    reason("suspended", { until: OptionalTime, waits_for_input: z.boolean() }),
    reason("pending", {
      infrastructure_pid: z.string().nullable(),
      scheduled_time: OptionalTime,
      given_up_at: OptionalTime,
    }),
    reason("tag_limit_full", { ...OfLimit, tag: z.string(), waiting_task_runs: z.array(UuidText) }),
    reason("waiting_for_time", { scheduled_time: TimeText }),
    reason("awaiting_retry", { scheduled_time: TimeText, run_count: z.int(), in_process: z.boolean() }),
    reason("awaiting_concurrency_slot", { scheduled_time: TimeText }),
    reason("will_be_skipped", { scheduled_time: TimeText, policy: z.string(), window_seconds: z.number() }),
    reason("deployment_deleted", { deployment_id: UuidText }),
    reason("own_process", { parent_task_run_id: UuidText.nullable() }),
    reason("no_work_queue", { work_queue_name: z.string().nullable() }),
    reason("deployment_not_polled", { ...OfDeployment, last_polled: OptionalTime }),
    reason("work_pool_paused", OfPool),
    reason("work_queue_paused", OfQueue),
    reason("work_pool_without_workers", { ...OfPool, work_pool_type: z.string() }),
    reason("no_worker_online", {
      ...OfPool,
      work_pool_type: z.string(),
      last_workers: z.array(PoolWorker),
      pools_online: z.array(z.object({ name: z.string(), type: z.string() })),
    }),
    reason("work_queue_not_polled", {
      ...OfQueue,
      last_polled: OptionalTime,
      workers: z.array(PoolWorker),
    }),
    reason("worker_type_differs", { ...OfPool, work_pool_type: z.string(), workers: z.array(PoolWorker) }),
    reason("work_pool_full", { ...OfPool, ...Limited }),
    reason("work_queue_full", { ...OfQueue, ...Limited }),
    reason("deployment_limit_full", {
      ...OfDeployment,
      ...OfLimit,
      collision_strategy: z.enum(["ENQUEUE", "CANCEL_NEW"]),
    }),
    reason("behind_others", { ...OfQueue, priority: z.int(), in_queue: z.int(), in_other_queues: z.int() }),
    reason("ready", { last_polled: OptionalTime }),
    reason("deployment_paused", OfDeployment),
    reason("schedule_inactive", { ...OfDeployment, schedule_id: UuidText, slug: z.string().nullable() }),
  ])
  .meta({ id: "WhyReason" });
export type WhyReason = z.output<typeof WhyReason>;

/** Who does the next step of a run, and when, if that is known. */
export const WhyNext = namedObject("WhyNext", {
  who: z.enum(["nobody", "somebody", "process", "worker"]),
  at: OptionalTime,
  message: z.string(),
});
export type WhyNext = z.output<typeof WhyNext>;

export const Why = namedObject("FlowRunWhy", {
  flow_run_id: UuidText,
  state: z.object({ type: StateType, name: z.string(), timestamp: TimeText }).nullable(),
  /** Whether the run has ever run. */
  started: z.boolean(),
  /** The first reason decides; the other reasons are true at the same time. */
  reasons: z.array(WhyReason).min(1),
  next: WhyNext,
});
export type Why = z.output<typeof Why>;

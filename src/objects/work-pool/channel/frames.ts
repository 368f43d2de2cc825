/** The frames of a worker channel, version 1: the frames that workers send, and the types of the frames that workers get. */
import * as z from "zod";
import { CLEANUP_KINDS, type CleanupKind } from "#objects/work-pool/messages";
import { Time } from "#wire/dates";
import { Uuid } from "#wire/ids";
import { Bool, intFrom } from "#wire/scalars";
import { ShortText, SizedObject } from "#wire/sizes";

/** The only version. */
export const CHANNEL_VERSION = "work_pool_worker_channel.v1";

/** The capabilities that every worker must have. */
const REQUIRED_CAPABILITIES = ["worker_heartbeat.v1", "work_pool_snapshot.v1"];
const CLEANUP_CAPABILITY = "cleanup_delivery.v1";

/** Why the server closes a channel, with the close code. After code 1011 the worker tries again; the other codes are final. */
export const CLOSE_CODES = {
  authentication_failed: 1008,
  authorization_failed: 1008,
  unsupported_version: 1008,
  protocol_error: 1002,
  heartbeat_persistence_failed: 1011,
  transient_server_error: 1011,
} as const;
export type CloseReason = keyof typeof CLOSE_CODES;

const Name = ShortText.min(1);
/** A worker's name is kept with its socket, which has little room. */
const WorkerName = Name.max(2_000);

const frame = <Type extends string, Payload extends z.ZodType>(type: Type, payload: Payload) =>
  z.strictObject({ type: z.literal(type), id: Uuid, sent_at: Time, payload });

const HelloPayload = z
  .strictObject({
    consumer_id: Uuid,
    worker_name: WorkerName,
    worker_type: Name,
    heartbeat_interval_seconds: intFrom(1),
    supported_channel_versions: z.array(Name).min(1),
    requested_capabilities: z.array(Name).min(1),
    work_queue_names: z.array(Name).default([]),
    handled_cleanup_kinds: z.array(z.enum(CLEANUP_KINDS)).default([]),
    max_cleanup_concurrency: intFrom(0).optional(),
    create_pool_if_not_found: Bool.default(false),
    default_base_job_template: SizedObject.default({}),
    worker_metadata: SizedObject.nullish(),
  })
  .transform((payload) => ({
    ...payload,
    // Prefect: `default_cleanup_concurrency`.
    max_cleanup_concurrency: payload.max_cleanup_concurrency ?? (asksForCleanup(payload) ? 1 : 0),
  }))
  .refine(
    (payload) =>
      REQUIRED_CAPABILITIES.every((capability) => payload.requested_capabilities.includes(capability)) &&
      (payload.requested_capabilities.includes(CLEANUP_CAPABILITY) ||
        (payload.handled_cleanup_kinds.length === 0 && payload.max_cleanup_concurrency === 0)),
  );
/** The name and the capabilities of a worker. */
export type Hello = z.output<typeof HelloPayload>;

const Operation = { message_id: Uuid, reservation_token: Name };

/** The frames that workers may send. */
export const WorkerFrame = z.discriminatedUnion("type", [
  frame("worker.hello.v1", HelloPayload),
  frame(
    "worker.heartbeat.v1",
    z.strictObject({ consumer_id: Uuid, worker_name: Name, heartbeat_interval_seconds: intFrom(1) }),
  ),
  frame("cleanup.ack.v1", z.strictObject(Operation)),
  frame("cleanup.release.v1", z.strictObject({ ...Operation, reason: Name })),
  frame("cleanup.renew.v1", z.strictObject(Operation)),
]);
export type WorkerFrame = z.output<typeof WorkerFrame>;
/** An operation of a worker on a message that it got. */
export type OperationFrame = Extract<WorkerFrame, { type: `cleanup.${string}` }>;

/** The types of the frames that workers get. */
export type ServerFrameType =
  | "worker.ready.v1"
  | "work_pool.snapshot.v1"
  | "cleanup.message.v1"
  | "cleanup.operation_result.v1";

/** Whether a worker wants messages and names their kinds. */
function asksForCleanup(hello: { requested_capabilities: string[]; handled_cleanup_kinds: CleanupKind[] }): boolean {
  return hello.requested_capabilities.includes(CLEANUP_CAPABILITY) && hello.handled_cleanup_kinds.length > 0;
}

/** Decides which capabilities of a worker are used. */
export function agree(hello: Hello) {
  const accepted =
    asksForCleanup(hello) && hello.max_cleanup_concurrency > 0
      ? [...REQUIRED_CAPABILITIES, CLEANUP_CAPABILITY]
      : REQUIRED_CAPABILITIES;
  const rejected = [...new Set(hello.requested_capabilities)].filter((capability) => !accepted.includes(capability));
  const capacity = accepted.includes(CLEANUP_CAPABILITY) ? hello.max_cleanup_concurrency : 0;
  return { accepted, rejected, capacity };
}

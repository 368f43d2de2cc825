/** The message that follows a cancellation that timed out. */
import { createHash } from "node:crypto";
import type { CleanupMessage } from "#objects/work-pool/messages";

/** A run that was set to Cancelled because its Cancelling had timed out. */
export interface TimedOutRun {
  id: string;
  work_queue_id: string;
  infrastructure_pid: string | null;
  /** The id of the Cancelled state, which names the message: the same state, the same message. */
  cancelled_state_id: string;
}

const KIND = "cancelling_timeout_teardown.v1";
/** RFC 9562: the namespace of URLs. */
const URL_NAMESPACE = "6ba7b8119dad11d180b400c04fd430c8";

/** Prefect: pools of these types have no workers that could clean up. */
export function isWorkerless(poolType: string): boolean {
  return poolType.endsWith(":push") || poolType.endsWith(":managed");
}

/** What workers are told of a run. */
export function timeoutMessage(run: TimedOutRun): CleanupMessage {
  const idempotency_key = `${KIND}:${run.id}:${run.cancelled_state_id}`;
  return {
    message_id: uuid5(`prefect:${idempotency_key}`),
    idempotency_key,
    kind: KIND,
    work_queue_id: run.work_queue_id,
    target: { flow_run_id: run.id, infrastructure_pid: run.infrastructure_pid },
    data: {},
  };
}

/** A UUID of version 5 for a name. */
function uuid5(name: string): string {
  const bytes = createHash("sha1").update(URL_NAMESPACE, "hex").update(name).digest();
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x50;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString("hex", 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** The message that follows a cancellation that timed out. */
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
export async function timeoutMessage(run: TimedOutRun): Promise<CleanupMessage> {
  const idempotency_key = `${KIND}:${run.id}:${run.cancelled_state_id}`;
  return {
    message_id: await uuid5(`prefect:${idempotency_key}`),
    idempotency_key,
    kind: KIND,
    work_queue_id: run.work_queue_id,
    target: { flow_run_id: run.id, infrastructure_pid: run.infrastructure_pid },
    data: {},
  };
}

/** A UUID of version 5 for a name. */
async function uuid5(name: string): Promise<string> {
  const namespace = Uint8Array.from(URL_NAMESPACE.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  const named = new Uint8Array([...namespace, ...new TextEncoder().encode(name)]);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-1", named)).slice(0, 16);
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x50;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  const hex = [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

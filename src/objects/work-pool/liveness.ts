/** The status of pools, queues and workers: how long a poll or a heartbeat counts. Pure. */
import { type Micros, SECOND } from "#lib/clock";
import type { Liveness, Worker } from "#objects/work-pool/messages";

/** Prefect: WORK_QUEUE_LAST_POLLED_TIMEOUT, a queue is ready so long after a poll. */
export const POLL_COUNTS: Micros = 60 * SECOND;

/** Prefect: `fallback_heartbeat_interval_seconds`, `inactivity_heartbeat_multiple`. */
const DEFAULT_INTERVAL_SECONDS = 30;
const MISSED_HEARTBEATS = 3;

/** When a worker that sends no more heartbeats counts as offline. */
export function onlineUntil(worker: Pick<Worker, "last_heartbeat" | "interval_seconds">): Micros {
  return worker.last_heartbeat + (worker.interval_seconds || DEFAULT_INTERVAL_SECONDS) * MISSED_HEARTBEATS * SECOND;
}

/** How long a pool stays READY that was READY when its object lost what it knew. */
export const GRACE: Micros = DEFAULT_INTERVAL_SECONDS * MISSED_HEARTBEATS * SECOND;

/** READY until that time. */
export function livenessAt(until: Micros, now: Micros): Liveness {
  return now < until ? "READY" : "NOT_READY";
}

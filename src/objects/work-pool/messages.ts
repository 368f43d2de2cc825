/** The contract of the `WorkPool` object, and the types in it. */
import type { Micros } from "#lib/clock";
import { method } from "#objects/call";
import type { StateType } from "#wire/state";

/** A run of a work pool after a commit. Runs without a pool have no such object. */
export interface LiveRun {
  id: string;
  work_pool_id: string;
  work_pool_name: string;
  work_queue_id: string;
  state_type: StateType | null;
  /** `next_scheduled_start_time`, in microseconds. */
  due: Micros | null;
}

/** A run that a poll is offered. */
export interface Offer {
  id: string;
  queue_id: string;
  due: Micros;
}

/** A worker as the object keeps it. */
export interface Worker {
  id: string;
  name: string;
  created: Micros;
  last_heartbeat: Micros;
  interval_seconds: number | null;
}

export type Liveness = "READY" | "NOT_READY";

/** A poll of a pool's queues, or of all of them. */
export interface PollAsk {
  queues: string[] | null;
  before: Micros | null;
  after: Micros | null;
  limit: number;
}

/** A poll of one queue by its id. */
export interface QueuePollAsk extends Pick<PollAsk, "before" | "limit"> {
  queue_id: string;
  /** Prefect: a poll of the UI does not count as one of a worker. */
  is_look: boolean;
}

/** What a poll is answered: runs as [id, queue id], or what is not there. */
export type PollAnswer =
  | { kind: "runs"; pool_id: string; runs: [string, string][] }
  | { kind: "no pool" }
  | { kind: "no queue"; name: string };

/** The phase of a live run: due at a time, holding a slot, or neither. */
export type Phase = Micros | "holds" | null;

/** A run after a commit: [id, queue id, phase]. */
export type RunNote = [string, string, Phase];

/** The status of a pool and of its queues, which only the object knows. */
export interface PoolLiveness {
  status: Liveness;
  queues: Record<string, { status: Liveness; last_polled: Micros | null }>;
}

/** Slots that are in use, and runs that hold some of them. */
export interface SlotsInUse {
  in_use: number;
  holders: string[];
}

/** The place of a scheduled run in its pool. */
export interface PlaceInQueue {
  status: Liveness;
  /** Some of the workers, by their last heartbeat, the newest first. The type is known of workers on a channel. */
  workers: { name: string; type: string | null; last_heartbeat: Micros; is_online: boolean }[];
  queue: { status: Liveness; last_polled: Micros | null };
  pool_slots: SlotsInUse;
  queue_slots: SlotsInUse;
  /** How many due runs are offered before it. */
  before: { in_queue: number; in_others: number };
}

/** What a worker can be told to clean up. */
export const CLEANUP_KINDS = ["cancelling_timeout_teardown.v1", "pending_claim_teardown.v1"] as const;
export type CleanupKind = (typeof CLEANUP_KINDS)[number];

/** What a worker of the pool has to clean up. A message with the same key or id is the same message. */
export interface CleanupMessage {
  message_id: string;
  idempotency_key: string;
  kind: CleanupKind;
  /** Workers of this queue are given the message first. */
  work_queue_id: string | null;
  target: Record<string, unknown>;
  data: Record<string, unknown>;
}

export type WorkerAnswer = Worker & { is_online: boolean };

/** The methods of the object. A `poolId` other than the one that is known has everything read anew. */
export const WORK_POOL = {
  /** Which runs a worker of the pool may have now. */
  poll: method<(ask: PollAsk) => PollAnswer>(),
  /** Which runs the client that polls the queue may have now. */
  pollQueue: method<(poolId: string, ask: QueuePollAsk) => PollAnswer>(),
  /** Runs were made or changed by a commit. May be repeated. */
  notice: method<(poolId: string, runs: RunNote[]) => void>(),
  /**
   * Takes a slot of the pool and of the queue for a run, before its PENDING is committed. True where the run holds a slot now, or
   * where there is no such pool or queue; false where no slot is free. The object needs no notice of the PENDING after it.
   */
  take: method<(poolId: string, queueId: string, runId: string) => boolean>(),
  /** The pool or its queues were made, changed or removed. */
  change: method<() => void>(),
  /** Deployments were made in these queues or moved there. */
  noticeDeployments: method<(queueIds: string[]) => void>(),
  /** A worker has sent a heartbeat; whether there is such a pool. */
  heartbeat: method<(worker: string, intervalSeconds: number | null) => boolean>(),
  /** The status of the pool and of its queues; null where there is no such pool. */
  liveness: method<(poolId: string) => PoolLiveness | null>(),
  /** The place of a scheduled run; null where there is no such pool or queue. */
  placeInQueue: method<(poolId: string, run: Offer) => PlaceInQueue | null>(),
  /** Writes to D1 at once the status changes that it would write in a moment, for a change that builds upon them. */
  reportNow: method<() => void>(),
  /** The workers of the pool. */
  workers: method<(poolId: string) => WorkerAnswer[]>(),
  /** Has a worker of the pool clean up; whether there is such a pool. May be repeated. */
  enqueueCleanup: method<(poolId: string, message: CleanupMessage) => boolean>(),
  /** Forgets a worker; whether it was known. */
  deleteWorker: method<(poolId: string, name: string) => boolean>(),
};

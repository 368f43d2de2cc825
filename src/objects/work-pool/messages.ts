/** The contract of the `WorkPool` object, and the types in it. */
import type { Micros } from "#lib/clock";
import { method } from "#objects/call";
import type { StateType } from "#wire/state";

/** A run of a work pool after a commit. Runs without a pool have no `LiveRun`. */
export interface LiveRun {
  id: string;
  work_pool_id: string;
  work_pool_name: string;
  work_queue_id: string;
  state_type: StateType | null;
  /** `next_scheduled_start_time`, in microseconds. */
  due: Micros | null;
}

/** A run that a poll offers. */
export interface Offer {
  id: string;
  queue_id: string;
  due: Micros;
}

/** A worker as the object stores it. */
export interface Worker {
  id: string;
  name: string;
  created: Micros;
  last_heartbeat: Micros;
  interval_seconds: number | null;
}

export type Liveness = "READY" | "NOT_READY";

/** A poll of some of a pool's queues, or of all queues. */
export interface PollAsk {
  queues: string[] | null;
  before: Micros | null;
  after: Micros | null;
  limit: number;
}

/** A poll of one queue by its id. */
export interface QueuePollAsk extends Pick<PollAsk, "before" | "limit"> {
  queue_id: string;
  /** Prefect: a poll by the UI does not count as a worker's poll. */
  is_look: boolean;
}

/** The answer to a poll: runs as [id, queue id], or what was not found. */
export type PollAnswer =
  | { kind: "runs"; pool_id: string; runs: [string, string][] }
  | { kind: "no pool" }
  | { kind: "no queue"; name: string };

/** The phase of a live run: due at a time, having a slot, or neither. */
export type Phase = Micros | "holds" | null;

/** A run after a commit: [id, queue id, phase]. */
export type RunNote = [string, string, Phase];

/** The status of a pool and of its queues. Only the object knows it. */
export interface PoolLiveness {
  status: Liveness;
  queues: Record<string, { status: Liveness; last_polled: Micros | null }>;
}

/** The number of slots in use, and some of the runs that have them. */
export interface SlotsInUse {
  in_use: number;
  holders: string[];
}

/** The place of a scheduled run in its pool. */
export interface PlaceInQueue {
  status: Liveness;
  /** Some of the workers, by their last heartbeat, newest first. The type is known for workers on a channel. */
  workers: { name: string; type: string | null; last_heartbeat: Micros; is_online: boolean }[];
  queue: { status: Liveness; last_polled: Micros | null };
  pool_slots: SlotsInUse;
  queue_slots: SlotsInUse;
  /** How many due runs are offered before this run. */
  before: { in_queue: number; in_others: number };
}

/** The kinds of clean-up that a worker may be asked for. */
export const CLEANUP_KINDS = ["cancelling_timeout_teardown.v1", "pending_claim_teardown.v1"] as const;
export type CleanupKind = (typeof CLEANUP_KINDS)[number];

/** A clean-up for a worker of the pool. A message with the same key or the same id is the same message. */
export interface CleanupMessage {
  message_id: string;
  idempotency_key: string;
  kind: CleanupKind;
  /** The workers of this queue get the message first. */
  work_queue_id: string | null;
  target: Record<string, unknown>;
  data: Record<string, unknown>;
}

export type WorkerAnswer = Worker & { is_online: boolean };

/** The methods of the object. If `poolId` differs from the known pool's id, the object reads everything from D1 again. */
export const WORK_POOL = {
  /** The runs that a worker of the pool may start now. */
  poll: method<(ask: PollAsk) => PollAnswer>(),
  /** The runs that the client that polls the queue may start now. */
  pollQueue: method<(poolId: string, ask: QueuePollAsk) => PollAnswer>(),
  /** Runs were made or changed by a commit. May be repeated. */
  notice: method<(poolId: string, runs: RunNote[]) => void>(),
  /**
   * Takes a slot of the pool and of the queue for a run, before its PENDING is committed. True if the run has a slot now, or if the
   * pool or queue does not exist. False if no slot is free. The object needs no notice of the PENDING afterwards.
   */
  take: method<(poolId: string, queueId: string, runId: string) => boolean>(),
  /** The pool or its queues were made, changed or removed. */
  change: method<() => void>(),
  /** Deployments were created in these queues, or moved to them. */
  noticeDeployments: method<(queueIds: string[]) => void>(),
  /** A worker has sent a heartbeat. Returns whether the pool exists. */
  heartbeat: method<(worker: string, intervalSeconds: number | null) => boolean>(),
  /** The status of the pool and of its queues; null if the pool does not exist. */
  liveness: method<(poolId: string) => PoolLiveness | null>(),
  /** The place of a scheduled run; null if the pool or queue does not exist. */
  placeInQueue: method<(poolId: string, run: Offer) => PlaceInQueue | null>(),
  /** Writes the waiting status changes to D1 at once, because the caller's next change depends on them. */
  reportNow: method<() => void>(),
  /** The workers of the pool. */
  workers: method<(poolId: string) => WorkerAnswer[]>(),
  /** Makes a worker of the pool clean up. Returns whether the pool exists. May be repeated. */
  enqueueCleanup: method<(poolId: string, message: CleanupMessage) => boolean>(),
  /** Forgets a worker. Returns whether the worker was known. */
  deleteWorker: method<(poolId: string, name: string) => boolean>(),
};

/** What goes to and from a pool's object. Versioned by the call that carries it. */
import type { Micros } from "#lib/clock";
import type { Identity } from "#objects/call";
import type { StateType } from "#wire/state";

/** A run of a work pool after a commit. Runs without a pool are nobody's business here. */
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

/** A worker as the pool's object keeps it. */
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
export interface QueuePollAsk {
  queue_id: string;
  before: Micros | null;
  limit: number;
  /** Prefect: the UI looks without being taken for a worker. */
  is_look: boolean;
}

/** What a poll is answered: runs as [id, queue id], or what is not there. */
export type PollAnswer =
  | { kind: "runs"; pool_id: string; runs: [string, string][] }
  | { kind: "no pool" }
  | { kind: "no queue"; name: string };

/** A run after a commit: [id, queue id, what it does now]. */
export type RunNote = [string, string, Micros | "holds" | null];

/** What only the object knows of a pool. */
export interface Vitals {
  status: Liveness;
  queues: Record<string, { status: Liveness; last_polled: Micros | null }>;
}

/** Slots that are in use, and runs that hold some of them. */
export interface SlotsInUse {
  in_use: number;
  holders: string[];
}

/** How a scheduled run stands in its pool. */
export interface Standing {
  status: Liveness;
  /** Some of them, the last that was heard of first; the type is known of those on a channel. */
  workers: { name: string; type: string | null; last_heartbeat: Micros; is_online: boolean }[];
  queue: { status: Liveness; last_polled: Micros | null };
  pool_slots: SlotsInUse;
  queue_slots: SlotsInUse;
  /** How many runs that are due come before it. */
  before: { in_queue: number; in_others: number };
}

/** What a worker can be told to clean up. */
export type CleanupKind = "cancelling_timeout_teardown.v1" | "pending_claim_teardown.v1";

/** Something that a worker of the pool is to clean up; the same key or id again is the same message. */
export interface CleanupMessage {
  message_id: string;
  idempotency_key: string;
  kind: CleanupKind;
  /** Workers of this queue are asked first. */
  work_queue_id: string | null;
  target: Record<string, unknown>;
  data: Record<string, unknown>;
}

export type WorkerAnswer = Worker & { is_online: boolean };

/** The methods that callers may name. Each says which pool it means; a `poolId` other than the known one starts anew. */
export interface WorkPoolMethods {
  poll(pool: Identity, ask: PollAsk): Promise<PollAnswer>;
  pollQueue(pool: Identity, poolId: string, ask: QueuePollAsk): Promise<PollAnswer>;
  notice(pool: Identity, poolId: string, runs: RunNote[]): Promise<void>;
  take(pool: Identity, poolId: string, queueId: string, runId: string): Promise<boolean>;
  change(pool: Identity): Promise<void>;
  noticeDeployments(pool: Identity, queueIds: string[]): Promise<void>;
  heartbeat(pool: Identity, name: string, intervalSeconds: number | null): Promise<boolean>;
  vitals(pool: Identity, poolId: string): Promise<Vitals | null>;
  /** Null where there is no such pool or queue. */
  standing(pool: Identity, poolId: string, run: Offer): Promise<Standing | null>;
  reportNow(pool: Identity): Promise<void>;
  workers(pool: Identity, poolId: string): Promise<WorkerAnswer[]>;
  /** Whether there is such a pool. */
  enqueueCleanup(pool: Identity, poolId: string, message: CleanupMessage): Promise<boolean>;
  deleteWorker(pool: Identity, poolId: string, name: string): Promise<boolean>;
}

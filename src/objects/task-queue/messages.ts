/** The contract of the `TaskQueue` object, and the types in it. */
import type { Micros } from "#lib/clock";
import { method } from "#objects/call";

/** A run that waits. */
export interface QueuedRun {
  id: string;
  task_key: string;
  /** The id of the state in which the run was put in the queue. */
  state_id: string;
  /** Whether the run is a retry. Retries are sent before new runs. */
  is_retry: boolean;
  /** The run is not sent before this time. */
  due: Micros;
  /** When the run was put in the queue. The oldest run is sent first. */
  at: Micros;
  /** Whether a task worker had the run, and disconnected before the run began. */
  is_again: boolean;
}

/** A run after the commit that scheduled it. */
export type QueueNote = Omit<QueuedRun, "is_again">;

/** A connected task worker. */
export interface ConnectedWorker {
  identifier: string;
  task_keys: string[];
  /** When the worker was last known to be connected. */
  seen: Micros;
}

/** The methods of the object. */
export const TASK_QUEUE = {
  /** Puts a run in the queue. May be repeated. */
  enqueue: method<(run: QueueNote) => void>(),
  /** The connected task workers. */
  workers: method<() => ConnectedWorker[]>(),
};

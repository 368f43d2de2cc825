/** The contract of the `TaskQueue` object, and the types in it. */
import type { Micros } from "#lib/clock";
import { method } from "#objects/call";

/** A run that waits. */
export interface QueuedRun {
  id: string;
  task_key: string;
  /** The state in which it was put in the queue. */
  state_id: string;
  /** Whether it is sent before runs that come for the first time. */
  is_retry: boolean;
  /** The time from which on it is sent. */
  due: Micros;
  /** When it was put in the queue; the oldest is sent first. */
  at: Micros;
  /** Whether a task worker had it, and left before the run began. */
  is_again: boolean;
}

/** A run after the commit that scheduled it. */
export type QueueNote = Omit<QueuedRun, "is_again">;

/** A task worker that is connected. */
export interface ConnectedWorker {
  identifier: string;
  task_keys: string[];
  /** When it was last known to be connected. */
  seen: Micros;
}

/** The methods of the object. */
export const TASK_QUEUE = {
  /** Puts a run in the queue. May be repeated. */
  enqueue: method<(run: QueueNote) => void>(),
  /** The task workers that are connected. */
  workers: method<() => ConnectedWorker[]>(),
};

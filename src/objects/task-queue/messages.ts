/** What goes to and from the object of a workspace's background tasks. Versioned by the call that carries it. */
import type { Micros } from "#lib/clock";
import { method } from "#objects/call";

/** A run that waits. */
export interface QueuedRun {
  id: string;
  task_key: string;
  /** The state in which it was put in the queue. */
  state_id: string;
  /** Whether it goes before those that come for the first time. */
  is_retry: boolean;
  /** It is handed out from then on. */
  due: Micros;
  /** When it was put in the queue; the older goes first. */
  at: Micros;
  /** Whether a task worker had it, and went away before it began. */
  is_again: boolean;
}

/** A run after the commit that scheduled it. */
export type QueueNote = Omit<QueuedRun, "is_again">;

/** A task worker that is connected. */
export interface ConnectedWorker {
  identifier: string;
  task_keys: string[];
  /** When it was last known to be there. */
  seen: Micros;
}

/** The methods of the object. */
export const TASK_QUEUE = {
  /** Puts a run in the queue. May be repeated. */
  enqueue: method<(run: QueueNote) => void>(),
  /** The task workers that are connected. */
  workers: method<() => ConnectedWorker[]>(),
};

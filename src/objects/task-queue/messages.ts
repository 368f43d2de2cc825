/** What goes to and from the object of a workspace's background tasks. Versioned by the call that carries it. */
import type { QueuedRun } from "#objects/task-queue/queue";
import type { Micros } from "#lib/clock";

/** A run after the commit that scheduled it. */
export type QueueNote = Omit<QueuedRun, "is_again">;

/** A task worker that is connected. */
export interface ConnectedWorker {
  identifier: string;
  task_keys: string[];
  /** When it was last known to be there. */
  seen: Micros;
}

/** The methods that callers may name. */
export interface TaskQueueMethods {
  enqueue(workspace: string, run: QueueNote): Promise<void>;
  workers(): Promise<ConnectedWorker[]>;
}

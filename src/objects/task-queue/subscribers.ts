/** The sockets of task workers that have subscribed, and the run that each was sent. Pure. */
import type { Micros } from "#lib/clock";
import type { ConnectedWorker } from "#objects/task-queue/messages";

/** A task worker's connection that has subscribed. */
export interface Subscriber {
  client_id: string;
  keys: string[];
  /** The run it was sent, or is about to be sent. */
  run: string | null;
  since: Micros;
}

export class Subscribers extends Map<WebSocket, Subscriber> {
  /** Whether the task worker has a connection. */
  isConnected(clientId: string): boolean {
    return this.values().some(({ client_id }) => client_id === clientId);
  }

  /** Whether a run was sent, or is about to be sent, and is not confirmed. */
  isSent(runId: string): boolean {
    return this.values().some(({ run }) => run === runId);
  }

  /** The subscribers without a run; the one that has waited longest comes first. */
  idle(): [WebSocket, Subscriber][] {
    return [...this].filter(([, { run }]) => run === null).toSorted(([, a], [, b]) => a.since - b.since);
  }

  /** The task workers, each over all its connections. */
  workers(now: Micros): ConnectedWorker[] {
    const workers = new Map<string, ConnectedWorker>();
    for (const { client_id: identifier, keys, run, since } of this.values()) {
      const known = workers.get(identifier);
      const seen = run === null ? now : since;
      workers.set(identifier, {
        identifier,
        task_keys: [...new Set([...(known?.task_keys ?? []), ...keys])],
        seen: Math.max(known?.seen ?? 0, seen),
      });
    }
    return [...workers.values()];
  }
}

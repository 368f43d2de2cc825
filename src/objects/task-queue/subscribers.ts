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

export class Subscribers {
  private readonly bySocket = new Map<WebSocket, Subscriber>();

  get size(): number {
    return this.bySocket.size;
  }

  get(socket: WebSocket): Subscriber | undefined {
    return this.bySocket.get(socket);
  }

  set(socket: WebSocket, subscriber: Subscriber): void {
    this.bySocket.set(socket, subscriber);
  }

  delete(socket: WebSocket): void {
    this.bySocket.delete(socket);
  }

  /** Whether the task worker has a connection. */
  isConnected(clientId: string): boolean {
    return this.some((subscriber) => subscriber.client_id === clientId);
  }

  /** Whether a run was sent, or is about to be sent, and is not confirmed. */
  isSent(runId: string): boolean {
    return this.some(({ run }) => run === runId);
  }

  /** The subscribers without a run; the one that has waited longest comes first. */
  idle(): [WebSocket, Subscriber][] {
    return [...this.bySocket].filter(([, { run }]) => run === null).toSorted(([, a], [, b]) => a.since - b.since);
  }

  /** The task workers, each over all its connections. */
  workers(now: Micros): ConnectedWorker[] {
    const workers = new Map<string, ConnectedWorker>();
    for (const { client_id: identifier, keys, run, since } of this.bySocket.values()) {
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

  private some(isMeant: (subscriber: Subscriber) => boolean): boolean {
    return this.bySocket.values().some(isMeant);
  }
}

/** The sockets of a pool's workers, and what is kept with each so that it outlives the object's sleep. */
import { type Micros, systemIds } from "#lib/clock";
import type { SluiceObject } from "#objects/base";
import type { Identity } from "#objects/call";
import { closeQuietly, sendQuietly } from "#objects/handshake";
import { attachments } from "#objects/sockets";
import { CLOSE_CODES, type CloseReason, type ServerFrameType } from "#objects/work-pool/channel/frames";
import type { CleanupKind } from "#objects/work-pool/messages";
import { printTime } from "#wire/dates";

const ids = systemIds();

/** The tag of these sockets. */
const WORKER_CHANNEL = "worker-channel";

/** What is kept with a socket. */
export interface SocketState {
  stage: "auth" | "hello" | "open" | "closed";
  authorized: boolean;
  pool: Identity;
  worker: OpenWorker | null;
}

/** A worker that has introduced itself. */
export interface OpenWorker {
  pool_id: string;
  consumer_id: string;
  name: string;
  /** Absent from sockets that were opened before it was kept. */
  type?: string;
  interval_seconds: number;
  opened: Micros;
  /** When the worker last sent something on this socket. */
  heard: Micros;
  /** The number of the last snapshot that was sent, and the `updated` of the pool in it. */
  sequence: number;
  pool_updated: Micros;
  kinds: CleanupKind[];
  /** How many messages the worker takes at once; none if it takes none at all. */
  capacity: number;
  /** The queues whose messages the worker is given first; null for all. */
  queue_ids: string[] | null;
  /** When the worker was last given a message. */
  served: Micros;
}

/** A socket whose worker has introduced itself. */
export interface Open {
  socket: WebSocket;
  worker: OpenWorker;
}

export const { keep, stateOf } = attachments<SocketState>();

/** Changes what is kept of the worker. */
export function change(socket: WebSocket, changes: Partial<OpenWorker>): void {
  const state = stateOf(socket);
  if (state.worker) keep(socket, { ...state, worker: { ...state.worker, ...changes } });
}

/** Closes a socket; what comes after is passed over. */
export function close(socket: WebSocket, reason: CloseReason): void {
  keep(socket, { ...stateOf(socket), stage: "closed" });
  closeQuietly(socket, CLOSE_CODES[reason], reason);
}

export class ChannelSockets {
  private readonly object: SluiceObject;

  constructor(object: SluiceObject) {
    this.object = object;
  }

  /** Has the object keep a new socket. */
  accept(socket: WebSocket, state: SocketState): void {
    this.object.state.acceptWebSocket(socket, [WORKER_CHANNEL]);
    keep(socket, state);
  }

  all(): WebSocket[] {
    return this.object.state.getWebSockets(WORKER_CHANNEL);
  }

  /** The workers that are connected, once for each of their sockets. */
  workers(): Open[] {
    return this.all().flatMap((socket) => {
      const { stage, worker } = stateOf(socket);
      return stage === "open" && worker && socket.readyState === WebSocket.READY_STATE_OPEN ? [{ socket, worker }] : [];
    });
  }

  /** The types of the workers that are connected, by their names. */
  types(): Map<string, string> {
    return new Map(this.workers().flatMap(({ worker: { name, type } }) => (type === undefined ? [] : [[name, type]])));
  }

  /** Sends a frame. Where the worker has gone, a message in the frame is given to another when the lease is over. */
  send(socket: WebSocket, type: ServerFrameType, payload: unknown): void {
    const now = this.object.clock();
    sendQuietly(socket, JSON.stringify({ type, id: ids.ordered(now), sent_at: printTime(now), payload }));
  }

  /** Closes all sockets after the pool was deleted. */
  closeAll(): void {
    for (const socket of this.all()) close(socket, "authorization_failed");
  }
}

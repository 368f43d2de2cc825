/** The sockets of a pool's workers, and the state that is kept with each socket, so that it survives the object's hibernation. */
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
export const WORKER_CHANNEL = "worker-channel";

/** The state that is kept with a socket. */
export interface SocketState {
  stage: "auth" | "hello" | "open" | "closed";
  authorized: boolean;
  pool: Identity;
  worker: OpenWorker | null;
}

/** A worker after the server accepted its hello. */
export interface OpenWorker {
  pool_id: string;
  consumer_id: string;
  name: string;
  /** Absent from sockets that were opened before this field existed. */
  type?: string;
  interval_seconds: number;
  opened: Micros;
  /** When the worker last sent a message on this socket. */
  heard: Micros;
  /** The number of the last snapshot that was sent, and the `updated` of the pool in it. */
  sequence: number;
  pool_updated: Micros;
  kinds: CleanupKind[];
  /** How many messages the worker takes at once; 0 if the worker takes no messages. */
  capacity: number;
  /** The worker gets the messages of these queues first; null for all queues. */
  queue_ids: string[] | null;
  /** When the worker last got a message. */
  served: Micros;
}

/** A socket and its worker, after the server accepted the hello. */
export interface Open {
  socket: WebSocket;
  worker: OpenWorker;
}

export const { keep, stateOf } = attachments<SocketState>();

/** Changes the stored state of the worker. */
export function change(socket: WebSocket, changes: Partial<OpenWorker>): void {
  const state = stateOf(socket);
  if (state.worker) keep(socket, { ...state, worker: { ...state.worker, ...changes } });
}

/** Closes a socket. Later messages of the socket are ignored. */
export function close(socket: WebSocket, reason: CloseReason): void {
  keep(socket, { ...stateOf(socket), stage: "closed" });
  closeQuietly(socket, CLOSE_CODES[reason], reason);
}

/** The sockets of the workers of the object's pool. */
export function socketsOf(object: SluiceObject): WebSocket[] {
  return object.state.getWebSockets(WORKER_CHANNEL);
}

/** The connected workers, once for each of their sockets. */
export function openWorkers(object: SluiceObject): Open[] {
  return socketsOf(object).flatMap((socket) => {
    const { stage, worker } = stateOf(socket);
    return stage === "open" && worker && socket.readyState === WebSocket.READY_STATE_OPEN ? [{ socket, worker }] : [];
  });
}

/** The types of the connected workers, by their names. */
export function workerTypes(object: SluiceObject): Map<string, string> {
  const workers = openWorkers(object);
  return new Map(workers.flatMap(({ worker: { name, type } }) => (type === undefined ? [] : [[name, type]])));
}

/** Sends a frame. If the worker is disconnected, another worker gets the message in the frame after the reservation expires. */
export function send(object: SluiceObject, socket: WebSocket, type: ServerFrameType, payload: unknown): void {
  const now = object.clock();
  sendQuietly(socket, JSON.stringify({ type, id: ids.ordered(now), sent_at: printTime(now), payload }));
}

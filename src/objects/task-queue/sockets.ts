/** The sockets of task workers: their handshake, their state, and the subscribed ones. */
import type { Env } from "#env";
import type { Micros } from "#lib/clock";
import { closeQuietly, isAuthenticated, type Message, welcome } from "#objects/handshake";
import { attachments } from "#objects/sockets";
import type { ConnectedWorker } from "#objects/task-queue/messages";

/** The stage of a socket. Kept with the socket, so that it survives the object's hibernation. */
export interface SocketState {
  stage: "auth" | "subscribe" | "open" | "closed";
  /** Whether the upgrade itself was authorised. */
  authorized: boolean;
  /** The key of the socket's subscription, or null before the subscription. */
  subscription: number | null;
  client_id: string;
  /** The run that was sent and is not confirmed yet. */
  run: string | null;
  /** When `run` was sent. Without a run: when the last run was confirmed. */
  since: Micros;
}

/** Prefect: `scheduled_task_subscription` closes a socket with this code if it violates the protocol. */
const PROTOCOL_VIOLATION = 4001;

export const { keep: keepState, stateOf } = attachments<SocketState>();

/** Answers the first message of a handshake. */
export function authenticate(socket: WebSocket, message: Message, env: Env): void {
  const state = stateOf(socket);
  if (!isAuthenticated(socket, message, state.authorized, env)) return;
  keepState(socket, { ...state, stage: "subscribe" });
  welcome(socket);
}

/** How many task keys a worker may subscribe to, and how long its id may be. The id is kept with its socket, in 16 KB. */
const MAX_KEYS = 10_000;
const MAX_CLIENT_ID_CHARACTERS = 1_000;

/** The task keys and client id of a subscription, or why the message is refused. */
export function readSubscription(message: Message): { keys: string[]; client_id: string } | { wrong: string } {
  const { type, keys, client_id } = message;
  if (type !== "subscribe") return { wrong: "expected 'subscribe' message" };
  if (!Array.isArray(keys) || keys.length === 0 || !keys.every((key) => typeof key === "string"))
    return { wrong: "expected 'keys' in subscribe message" };
  if (keys.length > MAX_KEYS) return { wrong: `more than ${MAX_KEYS} keys` };
  if (typeof client_id !== "string" || client_id === "") return { wrong: "expected 'client_id' in subscribe message" };
  if (client_id.length > MAX_CLIENT_ID_CHARACTERS) return { wrong: "the client_id is too long" };
  return { keys: [...new Set<string>(keys)], client_id };
}

/** Closes a socket that violates the protocol. */
export function refuse(socket: WebSocket, wrong: string): void {
  closeQuietly(socket, PROTOCOL_VIOLATION, `Protocol violation: ${wrong}`);
}

/** A connection of a task worker that has subscribed. */
export interface Subscriber extends Pick<SocketState, "client_id" | "since"> {
  keys: string[];
  /** The run that was sent, or is about to be sent, and is not confirmed yet. */
  run: string | null;
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

  /** The subscribers without a run. The subscriber that has waited longest comes first. */
  idle(): [WebSocket, Subscriber][] {
    return [...this].filter(([, { run }]) => run === null).toSorted(([, a], [, b]) => a.since - b.since);
  }

  /** The connected task workers. A worker with several connections is listed once. */
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

/** The handshake of a task worker's socket, and what is kept with it. */
import { type Env, parseSettings } from "#env";
import { isSocketToken } from "#http/auth";
import { SOCKET_HEADERS } from "#http/socket";
import type { Micros } from "#lib/clock";

/** How far a socket has come; kept with the socket, so that it outlives the object's sleep. */
export interface SocketState {
  stage: "auth" | "subscribe" | "open" | "closed";
  /** Whether the upgrade itself was authorised. */
  authorized: boolean;
  /** The key of its subscription, once it has one. */
  subscription: number | null;
  client_id: string;
  /** The run that was sent and is not confirmed yet. */
  run: string | null;
  /** When that was sent, or the last one was confirmed. */
  since: Micros;
}

const POLICY_VIOLATION = 1008;
/** Prefect: `scheduled_task_subscription`, what is not to the protocol. */
export const PROTOCOL_VIOLATION = 4001;

export function stateOf(socket: WebSocket): SocketState {
  // Written by `keepState` alone.
  return socket.deserializeAttachment() as SocketState;
}

export function keepState(socket: WebSocket, state: SocketState): void {
  socket.serializeAttachment(state);
}

/** Takes an upgrade. Prefect: without the subprotocol `prefect` there is no handshake, so it is refused where one is needed. */
export function acceptSocket(object: DurableObjectState, request: Request): Response {
  const offered = (request.headers.get("sec-websocket-protocol") ?? "").split(",").map((name) => name.trim());
  const authorized = request.headers.get(SOCKET_HEADERS.authorized) === "1";
  const greets = offered.includes("prefect");
  if (!greets && !authorized) return Response.json({ detail: "Forbidden" }, { status: 403 });
  const { 0: client, 1: server } = new WebSocketPair();
  object.acceptWebSocket(server);
  const stage = greets ? "auth" : "subscribe";
  keepState(server, { stage, authorized, subscription: null, client_id: "", run: null, since: 0 });
  return new Response(null, {
    status: 101,
    webSocket: client,
    headers: greets ? { "sec-websocket-protocol": "prefect" } : {},
  });
}

/** Answers the first message of a handshake. */
export function authenticate(socket: WebSocket, message: Record<string, unknown>, env: Env): void {
  const state = stateOf(socket);
  if (message["type"] !== "auth") return closeQuietly(socket, POLICY_VIOLATION, "Expected 'auth' message");
  const token = message["token"];
  if (!state.authorized && !isSocketToken(token, parseSettings(env))) {
    return closeQuietly(socket, POLICY_VIOLATION, token ? "Invalid token" : "Auth required but no token provided");
  }
  keepState(socket, { ...state, stage: "subscribe" });
  socket.send(JSON.stringify({ type: "auth_success" }));
}

/** What a subscription asks for; where it is none, why. */
export function readSubscription(
  message: Record<string, unknown>,
): { keys: string[]; client_id: string } | { wrong: string } {
  const { type, keys, client_id } = message;
  if (type !== "subscribe") return { wrong: "expected 'subscribe' message" };
  if (!Array.isArray(keys) || keys.length === 0 || !keys.every((key) => typeof key === "string"))
    return { wrong: "expected 'keys' in subscribe message" };
  if (typeof client_id !== "string" || client_id === "") return { wrong: "expected 'client_id' in subscribe message" };
  return { keys: [...new Set<string>(keys)], client_id };
}

/** A message's fields; of what is no JSON object, none. */
export function parseMessage(data: string | ArrayBuffer): Record<string, unknown> {
  try {
    const message: unknown = JSON.parse(typeof data === "string" ? data : new TextDecoder().decode(data));
    return typeof message === "object" && message !== null ? { ...message } : {};
  } catch {
    // It is refused as a message without a type.
    return {};
  }
}

/** Closes a socket that is not to the protocol. */
export function refuse(socket: WebSocket, wrong: string): void {
  closeQuietly(socket, PROTOCOL_VIOLATION, `Protocol violation: ${wrong}`);
}

/** Closes a socket that may be closed already. */
export function closeQuietly(socket: WebSocket, code: number, reason: string): void {
  try {
    socket.close(code, reason);
  } catch {
    // It is closed, which is all that was wanted.
  }
}

/** The common parts of all sockets with the subprotocol `prefect`: the upgrade, the first message, the close. */
import { type Env, parseSettings } from "#env";
import { isSocketToken } from "#http/auth";
import { SOCKET_HEADERS } from "#http/socket";
import { parseJson } from "#lib/json";

const POLICY_VIOLATION = 1008;
const TOO_BIG = 1009;

/** How long the handshake of a socket may take. */
const GREETING_MS = 30_000;
/** How many sockets of one object may be in their handshake at once. */
const MAX_GREETING = 1_000;
/** How large a message may be on a socket that is not authenticated. */
const MAX_GREETING_CHARACTERS = 10_000;

/** Whether the first message of a socket has to authenticate, and whether the upgrade itself was authorised. */
type Beginning = Record<"greets" | "authorized", boolean>;

/** The sockets of one object in their handshake. Each is closed after a timeout. The timer keeps the object in memory, so no timer is lost. */
export class Greetings {
  private readonly timers = new Map<WebSocket, ReturnType<typeof setTimeout>>();

  /** Refuses an upgrade (503) if too many sockets are in their handshake; else null. */
  refusal(): Response | null {
    if (this.timers.size < MAX_GREETING) return null;
    return Response.json({ detail: "Too many sockets are opening" }, { status: 503, headers: { "Retry-After": "1" } });
  }

  begin(socket: WebSocket): void {
    const timer = setTimeout(() => {
      this.timers.delete(socket);
      closeQuietly(socket, POLICY_VIOLATION, `Nothing was said for ${GREETING_MS / 1000} seconds`);
    }, GREETING_MS);
    this.timers.set(socket, timer);
  }

  /** Ends the handshake of the socket, because it succeeded or the socket was closed. */
  end(socket: WebSocket): void {
    clearTimeout(this.timers.get(socket));
    this.timers.delete(socket);
  }
}

/** The fields of a message that is a JSON object. */
export type Message = Record<string, unknown>;

/** The size of a message: characters for text, bytes otherwise. */
export function sizeOf(message: string | ArrayBuffer): number {
  return typeof message === "string" ? message.length : message.byteLength;
}

/** A message as text. */
export function textOf(message: string | ArrayBuffer): string {
  return typeof message === "string" ? message : new TextDecoder().decode(message);
}

/** Whether a message is small enough for a socket that is not authenticated; otherwise the socket is closed. */
export function isSmallGreeting(socket: WebSocket, message: string | ArrayBuffer): boolean {
  if (sizeOf(message) <= MAX_GREETING_CHARACTERS) return true;
  closeQuietly(socket, TOO_BIG, `A first message may have ${MAX_GREETING_CHARACTERS} characters`);
  return false;
}

/** Whether an upgrade asks for the subprotocol `prefect`, with which the first message authenticates. */
export function offersHandshake(request: Request): boolean {
  const offered = (request.headers.get("sec-websocket-protocol") ?? "").split(",").map((name) => name.trim());
  return offered.includes("prefect");
}

/** The answer to an upgrade that is not allowed. */
export function forbidden(): Response {
  return Response.json({ detail: "Forbidden" }, { status: 403 });
}

/** Takes an upgrade. Prefect: without the subprotocol `prefect` there is no handshake, so the upgrade is refused if a handshake is required. */
export function upgrade(request: Request, accept: (socket: WebSocket, beginning: Beginning) => void): Response {
  const authorized = request.headers.get(SOCKET_HEADERS.authorized) === "1";
  const greets = offersHandshake(request);
  if (!greets && !authorized) return forbidden();
  const { 0: client, 1: server } = new WebSocketPair();
  accept(server, { greets, authorized });
  return new Response(null, {
    status: 101,
    webSocket: client,
    headers: greets ? { "sec-websocket-protocol": "prefect" } : {},
  });
}

/** Whether the first message authenticates. Otherwise the socket is closed. The caller stores the stage, then calls `welcome`. */
export function isAuthenticated(socket: WebSocket, message: Message, isAuthorized: boolean, env: Env): boolean {
  const problem = authProblem(message, isAuthorized, env);
  if (problem !== null) closeQuietly(socket, POLICY_VIOLATION, problem);
  return problem === null;
}

/** Why the first message does not authenticate, or null. */
export function authProblem({ type, token }: Message, authorized: boolean, env: Env): string | null {
  if (type !== "auth") return "Expected 'auth' message";
  if (authorized || isSocketToken(token, parseSettings(env))) return null;
  return token ? "Invalid token" : "Auth required but no token provided";
}

/** Sends the client the message that the socket is authenticated. */
export function welcome(socket: WebSocket): void {
  socket.send(JSON.stringify({ type: "auth_success" }));
}

/** The fields of a message. A message that is not a JSON object has no fields, so it is refused as a message without a type. */
export function parseMessage(data: string | ArrayBuffer): Message {
  try {
    const message = parseJson(textOf(data));
    return typeof message === "object" && message !== null ? { ...message } : {};
  } catch {
    return {};
  }
}

/**
 * Sends a text to a socket. A socket that is already closed throws here, and the error is ignored: the runtime reports
 * the close to the object.
 */
export function sendQuietly(socket: WebSocket, text: string): void {
  try {
    socket.send(text);
  } catch {
    // The socket is closed.
  }
}

/** Closes a socket that may be closed already. A reason has at most 123 bytes. */
export function closeQuietly(socket: WebSocket, code: number, reason: string): void {
  try {
    socket.close(code, reason.replaceAll(/[^ -~]/g, "?").slice(0, 120));
  } catch {
    // The socket is closed already.
  }
}

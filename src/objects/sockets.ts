/** Objects that keep WebSockets: upgrades, the end of a socket, and what is kept with a socket while the object sleeps. */
import { readParams, SOCKET_HEADERS } from "#http/socket";
import { SluiceObject } from "#objects/base";
import { closeQuietly, Greetings } from "#objects/handshake";

/** Base of the objects that keep sockets. Sockets hibernate: the object may sleep, or be evicted, while they are open. */
export abstract class SocketObject extends SluiceObject {
  /** The sockets that have not said yet what they want. */
  readonly greetings = new Greetings();

  /** Answers an upgrade, which the Worker hands on with the name of the channel. Its identity is known by then. */
  abstract accept(request: Request, channel: string): Response;
  /** A message of a socket. */
  abstract webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void>;
  /** A socket has ended. `isConfirmed`: its client has read all that it was sent. May come twice. */
  abstract left(socket: WebSocket, isConfirmed: boolean): Promise<void> | void;

  /** Upgrades; other requests are calls. */
  override async fetch(request: Request): Promise<Response> {
    const channel = request.headers.get(SOCKET_HEADERS.channel);
    if (channel === null) return super.fetch(request);
    const workspace = request.headers.get(SOCKET_HEADERS.workspace) ?? "";
    this.identify({ workspace, name: readParams(request)["work_pool_name"] ?? null });
    return this.accept(request, channel);
  }

  async webSocketClose(socket: WebSocket, _code: number, _reason: string, isClean: boolean): Promise<void> {
    closeQuietly(socket, 1000, "");
    await this.left(socket, isClean);
  }

  async webSocketError(socket: WebSocket): Promise<void> {
    closeQuietly(socket, 1011, "");
    await this.left(socket, false);
  }
}

/** Reads and writes what is kept with sockets, at most 16 KB each. A socket has one kind of state from its upgrade on. */
export function attachments<State extends object>() {
  const keep = (socket: WebSocket, state: State) => socket.serializeAttachment(state);
  // Written by `keep` alone.
  const stateOf = (socket: WebSocket) => socket.deserializeAttachment() as State;
  return { keep, stateOf };
}

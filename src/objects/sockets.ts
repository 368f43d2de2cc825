/** Objects that keep WebSockets: upgrades, the close of a socket, and the state that is kept with a socket while the object hibernates. */
import { readParams, SOCKET_HEADERS } from "#http/socket";
import { SluiceObject } from "#objects/base";
import { closeQuietly, Greetings } from "#objects/handshake";

/** Base of the objects that keep sockets. Sockets hibernate: the object may leave memory, or be evicted, while they are open. */
export abstract class SocketObject extends SluiceObject {
  /** The sockets in their handshake. */
  readonly greetings = new Greetings();

  /** Answers an upgrade. The Worker forwards the upgrade with the name of the channel. `identity` is set before. */
  abstract accept(request: Request, channel: string): Response;
  /** Handles a message of a socket. */
  abstract webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void>;
  /** Handles the end of a socket. `isConfirmed`: the client has read everything that it was sent. May run twice for a socket. */
  abstract left(socket: WebSocket, isConfirmed: boolean): Promise<void> | void;

  /** Upgrades. Other requests are calls. */
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

/** Reads and writes the state that is kept with sockets, at most 16 KB each. A socket has one type of state from its upgrade on. */
export function attachments<State extends object>() {
  const keep = (socket: WebSocket, state: State) => socket.serializeAttachment(state);
  // Only `keep` writes this value.
  const stateOf = (socket: WebSocket) => socket.deserializeAttachment() as State;
  return { keep, stateOf };
}

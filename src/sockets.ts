/** The WebSocket routes of every resource. */
import type { SocketRoute } from "#http/socket";

export const sockets: readonly SocketRoute[] = [];

/** The WebSocket routes of every resource. */
import type { SocketRoute } from "#http/socket";
import { eventSockets } from "#resources/events/routes";

export const sockets: readonly SocketRoute[] = [...eventSockets];

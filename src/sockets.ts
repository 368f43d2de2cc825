/** The WebSocket routes of every resource. */
import type { SocketRoute } from "#http/socket";
import { eventSockets } from "#resources/events/routes";
import { workerSockets } from "#resources/work-pools/routes";
import { taskRunSockets } from "#resources/task-runs/routes";

export const sockets: readonly SocketRoute[] = [...eventSockets, ...taskRunSockets, ...workerSockets];

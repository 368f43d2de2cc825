/** The WebSocket by which task workers are sent background tasks. */
import { socket } from "#http/socket";
import { objectName } from "#objects/client";

export const taskRunSockets = [
  socket("/task_runs/subscriptions/scheduled", "scheduled-task-runs", (env, workspaceId) =>
    env.TASK_QUEUE.get(env.TASK_QUEUE.idFromName(objectName(workspaceId))),
  ),
];

/** The socket of a work pool's workers; its connections live in the pool's object. */
import { type SocketRoute, socket } from "#http/socket";
import { workPoolStub } from "#objects/work-pool/client";

export const workerSockets: readonly SocketRoute[] = [
  socket("/work_pools/{work_pool_name}/workers/connect", "worker-channel", (env, workspaceId, params) =>
    workPoolStub(env, workspaceId, params["work_pool_name"] ?? ""),
  ),
];

/** Task workers. A play opens no sockets, so no worker is found. */
import type { JsonObject } from "../json.ts";
import type { Scenario, World } from "../play.ts";

export const taskWorkers: Scenario = { name: "task-workers", play: playTaskWorkers };

async function playTaskWorkers(world: World): Promise<void> {
  const bodies: Record<string, JsonObject> = {
    "by the keys of unknown tasks": { task_worker_filter: { task_keys: [world.name("none")] } },
    "no filter at all": { task_worker_filter: null, limit: 0 },
    "keys of text": { task_worker_filter: { task_keys: "none" } },
    "without keys": { task_worker_filter: {} },
    "limit 201": { limit: 201 },
    "offset -1": { offset: -1 },
  };
  for (const [name, body] of Object.entries(bodies)) await world.send(name, "POST /task_workers/filter", { body });
  await world.send("no body", "POST /task_workers/filter");
}

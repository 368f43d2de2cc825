/** The routes under /task_workers. */
import { namedObject } from "#wire/named";
import * as z from "zod";
import { embedded, route } from "#http/route";
import { taskQueue } from "#objects/task-queue/client";
import { printTime, TimeText } from "#wire/dates";

/** Prefect: a filter without keys finds all task workers, and its other fields are ignored. */
const TaskWorkerFilter = namedObject("TaskWorkerFilter", { task_keys: z.array(z.string()) });

/** A task worker in an answer. */
const TaskWorkerResponse = namedObject("TaskWorkerResponse", {
  identifier: z.string(),
  task_keys: z.array(z.string()),
  timestamp: TimeText,
});

export const taskWorkerRoutes = [
  route(
    {
      method: "POST",
      path: "/task_workers/filter",
      summary: "Read the task workers that are connected.",
      body: embedded({ task_worker_filter: TaskWorkerFilter.optional() }),
      response: z.array(TaskWorkerResponse),
    },
    async ({ body, tools }) => {
      const wanted = new Set(body.task_worker_filter?.task_keys);
      const workers = await taskQueue(tools).workers();
      return workers
        .filter(({ task_keys }) => wanted.size === 0 || task_keys.some((key) => wanted.has(key)))
        .map(({ seen, ...worker }) => ({ ...worker, timestamp: printTime(seen) }));
    },
  ),
];

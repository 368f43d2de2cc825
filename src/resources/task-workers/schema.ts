/** Task workers on the wire. */
import * as z from "zod";
import { TimeText } from "#wire/dates";

/** Prefect: a filter without keys finds everybody, and what else is in it is passed over. */
export const TaskWorkerFilter = z.object({ task_keys: z.array(z.string()) }).meta({ id: "TaskWorkerFilter" });

/** A task worker in an answer. */
export const TaskWorkerResponse = z
  .object({ identifier: z.string(), task_keys: z.array(z.string()), timestamp: TimeText })
  .meta({ id: "TaskWorkerResponse" });

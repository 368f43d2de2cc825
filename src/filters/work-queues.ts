/** The criteria of work queues. */
import * as z from "zod";
import { work_queue } from "#db/tables/work-pool";
import { anyId, anyOf, combinable, group, startsWith } from "./clause";

export const workQueueFilter = combinable("WorkQueueFilter", {
  id: group("WorkQueueFilterId", { any_: anyId(work_queue.id) }),
  name: group("WorkQueueFilterName", {
    any_: anyOf(z.string(), work_queue.name),
    startswith_: startsWith(work_queue.name),
  }),
});

export const WorkQueueFilter = workQueueFilter.schema;
export type WorkQueueFilter = z.output<typeof WorkQueueFilter>;

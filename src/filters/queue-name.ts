/** The name of a row's work queue, as answers show it. */
import { type SQL, type SQLWrapper, sql } from "drizzle-orm";
import { work_queue } from "#db/tables/work-pool";

/** Gives the queue's present name. Where the queue was deleted, or there is none, it is the name that the row keeps. */
export function queueName(table: {
  workspace_id: SQLWrapper;
  work_queue_id: SQLWrapper;
  work_queue_name: SQLWrapper;
}): SQL {
  return sql`coalesce((select named.name from ${work_queue} as named
    where named.workspace_id = ${table.workspace_id} and named.id = ${table.work_queue_id}), ${table.work_queue_name})`;
}

/** The name of the work queue that a row is in, as answers show it. */
import { type SQL, type SQLWrapper, sql } from "drizzle-orm";
import { work_queue } from "#db/tables/work-pool";

/** The queue's name as it is now; of a queue that is gone, or of none, the name that the row itself keeps. */
export function queueName(table: {
  workspace_id: SQLWrapper;
  work_queue_id: SQLWrapper;
  work_queue_name: SQLWrapper;
}): SQL {
  return sql`coalesce((select named.name from ${work_queue} as named
    where named.workspace_id = ${table.workspace_id} and named.id = ${table.work_queue_id}), ${table.work_queue_name})`;
}

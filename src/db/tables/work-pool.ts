/** Work pools and their queues. Only the `WorkPool` object knows which workers poll and which are alive. */
import { primaryKey, sqliteTable, uniqueIndex } from "drizzle-orm/sqlite-core";
import { flag, entity, integer, micros, object, text, uuid } from "#db/columns";

export const work_pool = sqliteTable(
  "work_pool",
  {
    ...entity(),
    name: text().notNull(),
    description: text({ long: true }),
    type: text().notNull(),
    base_job_template: object({ long: true }).notNull(),
    storage_configuration: object({ long: true }).notNull(),
    is_paused: flag().notNull(),
    concurrency_limit: integer(),
    default_queue_id: uuid(),
    /** READY or NOT_READY, as the object last reported. PAUSED comes from `is_paused` when the row is read. */
    status: text(),
    last_transitioned_status_at: micros(),
    last_status_event_id: uuid(),
  },
  (t) => [primaryKey({ columns: [t.workspace_id, t.id] }), uniqueIndex("work_pool_name").on(t.workspace_id, t.name)],
);

export const work_queue = sqliteTable(
  "work_queue",
  {
    ...entity(),
    name: text().notNull(),
    work_pool_id: uuid().notNull(),
    description: text({ long: true }),
    is_paused: flag().notNull(),
    concurrency_limit: integer(),
    priority: integer().notNull(),
    /** Prefect: the filter of queues from before work pools. Stored and shown only. */
    filter: object({ long: true }),
    status: text().notNull(),
    last_polled: micros(),
  },
  (t) => [
    primaryKey({ columns: [t.workspace_id, t.id] }),
    uniqueIndex("work_queue_name").on(t.workspace_id, t.work_pool_id, t.name),
  ],
);

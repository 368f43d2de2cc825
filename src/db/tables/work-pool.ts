/** Work pools and their queues. Who polls and who is alive is known by the `WorkPool` object alone. */
import { integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import { flag, json, micros, stamps, uuid, workspaceId } from "#db/columns";

export const work_pool = sqliteTable(
  "work_pool",
  {
    workspace_id: workspaceId(),
    id: uuid("id").notNull(),
    ...stamps(),
    name: text("name").notNull(),
    description: text("description"),
    type: text("type").notNull(),
    base_job_template: json("base_job_template").notNull(),
    storage_configuration: json("storage_configuration").notNull(),
    is_paused: flag("is_paused").notNull(),
    concurrency_limit: integer("concurrency_limit"),
    default_queue_id: uuid("default_queue_id"),
    /** READY or NOT_READY as last reported by the object; PAUSED is made of `is_paused` when it is read. */
    status: text("status"),
    last_transitioned_status_at: micros("last_transitioned_status_at"),
    last_status_event_id: uuid("last_status_event_id"),
  },
  (t) => [primaryKey({ columns: [t.workspace_id, t.id] }), uniqueIndex("work_pool_name").on(t.workspace_id, t.name)],
);

export const work_queue = sqliteTable(
  "work_queue",
  {
    workspace_id: workspaceId(),
    id: uuid("id").notNull(),
    ...stamps(),
    name: text("name").notNull(),
    work_pool_id: uuid("work_pool_id").notNull(),
    description: text("description"),
    is_paused: flag("is_paused").notNull(),
    concurrency_limit: integer("concurrency_limit"),
    priority: integer("priority").notNull(),
    /** Prefect: the filter of queues from before work pools; kept and shown. */
    filter: json("filter"),
    status: text("status").notNull(),
    last_polled: micros("last_polled"),
  },
  (t) => [
    primaryKey({ columns: [t.workspace_id, t.id] }),
    uniqueIndex("work_queue_name").on(t.workspace_id, t.work_pool_id, t.name),
  ],
);

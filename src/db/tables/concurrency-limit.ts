/** Definitions of concurrency limits; their slots and leases are the `ConcurrencyLimits` object's. */
import { integer, primaryKey, real, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import { flag, stamps, uuid, workspaceId } from "#db/columns";

export const concurrency_limit = sqliteTable(
  "concurrency_limit",
  {
    workspace_id: workspaceId(),
    id: uuid("id").notNull(),
    ...stamps(),
    name: text("name").notNull(),
    limit: integer("limit").notNull(),
    active: flag("active").notNull(),
    slot_decay_per_second: real("slot_decay_per_second").notNull(),
    avg_slot_occupancy_seconds: real("avg_slot_occupancy_seconds").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.workspace_id, t.id] }),
    uniqueIndex("concurrency_limit_name").on(t.workspace_id, t.name),
  ],
);

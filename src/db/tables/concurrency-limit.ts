/** Definitions of concurrency limits. The `ConcurrencyLimits` object stores their slots and leases. */
import { primaryKey, sqliteTable, uniqueIndex } from "drizzle-orm/sqlite-core";
import { flag, entity, integer, real, text } from "#db/columns";

export const concurrency_limit = sqliteTable(
  "concurrency_limit",
  {
    ...entity(),
    name: text().notNull(),
    limit: integer().notNull(),
    active: flag().notNull(),
    slot_decay_per_second: real().notNull(),
    avg_slot_occupancy_seconds: real().notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.workspace_id, t.id] }),
    uniqueIndex("concurrency_limit_name").on(t.workspace_id, t.name),
  ],
);

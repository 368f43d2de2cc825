/** Filters that the user interface has saved under a name. */
import { primaryKey, sqliteTable, uniqueIndex } from "drizzle-orm/sqlite-core";
import { entity, list, text } from "#db/columns";

export const saved_search = sqliteTable(
  "saved_search",
  {
    ...entity(),
    name: text().notNull(),
    filters: list<unknown>({ long: true }).notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspace_id, t.id] }), uniqueIndex("saved_search_name").on(t.workspace_id, t.name)],
);

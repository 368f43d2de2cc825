/** Variables, by name unique in their workspace. */
import { primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import { json, stamps, uuid, workspaceId } from "#db/columns";

export const variable = sqliteTable(
  "variable",
  {
    workspace_id: workspaceId(),
    id: uuid("id").notNull(),
    ...stamps(),
    name: text("name").notNull(),
    value: json("value"),
    tags: json("tags").notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspace_id, t.id] }), uniqueIndex("variable_name").on(t.workspace_id, t.name)],
);

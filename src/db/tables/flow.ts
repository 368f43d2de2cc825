/** Flows, by name unique in their workspace. */
import { primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import { json, stamps, uuid, workspaceId } from "#db/columns";

export const flow = sqliteTable(
  "flow",
  {
    workspace_id: workspaceId(),
    id: uuid("id").notNull(),
    ...stamps(),
    name: text("name").notNull(),
    tags: json("tags").notNull(),
    labels: json("labels").notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspace_id, t.id] }), uniqueIndex("flow_name").on(t.workspace_id, t.name)],
);

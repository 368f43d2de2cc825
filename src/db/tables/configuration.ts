/** Settings of a workspace that the server keeps, by key. */
import { primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { json, stamps, workspaceId } from "#db/columns";

export const configuration = sqliteTable(
  "configuration",
  { workspace_id: workspaceId(), key: text("key").notNull(), ...stamps(), value: json("value").notNull() },
  (t) => [primaryKey({ columns: [t.workspace_id, t.key] })],
);

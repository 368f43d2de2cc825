/** Settings of a workspace that the server stores, by key. */
import { primaryKey, sqliteTable } from "drizzle-orm/sqlite-core";
import { json, stamps, text, workspaceId } from "#db/columns";

export const configuration = sqliteTable(
  "configuration",
  { workspace_id: workspaceId(), key: text().notNull(), ...stamps(), value: json().notNull() },
  (t) => [primaryKey({ columns: [t.workspace_id, t.key] })],
);

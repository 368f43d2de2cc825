/** Variables of users, and values that the server keeps for itself. */
import { primaryKey, sqliteTable, uniqueIndex } from "drizzle-orm/sqlite-core";
import { entity, json, list, text, stamps, workspaceId } from "#db/columns";

export const variable = sqliteTable(
  "variable",
  {
    ...entity(),
    name: text().notNull(),
    value: json({ long: true }),
    tags: list<string>({ long: true }).notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspace_id, t.id] }), uniqueIndex("variable_name").on(t.workspace_id, t.name)],
);

export const configuration = sqliteTable(
  "configuration",
  { workspace_id: workspaceId(), key: text().notNull(), ...stamps(), value: json().notNull() },
  (t) => [primaryKey({ columns: [t.workspace_id, t.key] })],
);

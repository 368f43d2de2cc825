/** Variables. The name is unique in the workspace. */
import { primaryKey, sqliteTable, uniqueIndex } from "drizzle-orm/sqlite-core";
import { entity, json, list, text } from "#db/columns";

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

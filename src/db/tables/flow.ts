/** Flows. The name is unique in the workspace. */
import { primaryKey, sqliteTable, uniqueIndex } from "drizzle-orm/sqlite-core";
import { entity, json, list, text } from "#db/columns";

export const flow = sqliteTable(
  "flow",
  {
    ...entity(),
    name: text().notNull(),
    tags: list<string>({ long: true }).notNull(),
    /** Prefect: a client may send null, and answers show null. */
    labels: json<Record<string, string | number | boolean> | null>({ long: true }).notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspace_id, t.id] }), uniqueIndex("flow_name").on(t.workspace_id, t.name)],
);

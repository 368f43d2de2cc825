/** The keys of the workspaces, with which secret fields are encrypted. */
import { index, primaryKey, sqliteTable } from "drizzle-orm/sqlite-core";
import { micros, text, uuid, workspaceId } from "#db/columns";

export const data_key = sqliteTable(
  "data_key",
  {
    workspace_id: workspaceId(),
    id: uuid().notNull(),
    created: micros().notNull(),
    /** The key, encrypted with a key of the deployment (`secrets/wrapping.ts`), in base64. */
    wrapped: text().notNull(),
    /** The id of that key of the deployment. */
    wrapped_by: text().notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspace_id, t.id] }), index("data_key_wrapped_by").on(t.wrapped_by)],
);

/** Every content that a deployment has had, in order; the newest is the one that its row has. */
import { integer, primaryKey, sqliteTable } from "drizzle-orm/sqlite-core";
import { json, micros, uuid, workspaceId } from "#db/columns";

export const deployment_version = sqliteTable(
  "deployment_version",
  {
    workspace_id: workspaceId(),
    deployment_id: uuid("deployment_id").notNull(),
    /** From 1, without gaps; by it the newest is one seek. */
    ordinal: integer("ordinal").notNull(),
    id: uuid("id").notNull(),
    created: micros("created").notNull(),
    /** When it was put away; null while it may be used. */
    archived: micros("archived"),
    /** JSON object of the deployment's columns that shape a run (`resources/deployments/versions-store.ts`). Last, for it may be large. */
    content: json("content").notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspace_id, t.deployment_id, t.ordinal] })],
);

/** Each content that a deployment has had, in order. The row of the deployment has the newest one. */
import { primaryKey, sqliteTable } from "drizzle-orm/sqlite-core";
import { integer, micros, object, uuid, workspaceId } from "#db/columns";

export const deployment_version = sqliteTable(
  "deployment_version",
  {
    workspace_id: workspaceId(),
    deployment_id: uuid().notNull(),
    /** From 1, without gaps. The newest version is found by one seek. */
    ordinal: integer().notNull(),
    id: uuid().notNull(),
    created: micros().notNull(),
    /** When the version was archived; null while it may be used. */
    archived: micros(),
    /** JSON object of the deployment's columns that shape a run (`resources/deployments/versions-store.ts`). Last, for it may be large. */
    content: object().notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspace_id, t.deployment_id, t.ordinal] })],
);

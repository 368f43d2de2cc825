/** Artifacts of runs, and for each key which artifact is the latest. All ids in these tables are short (`db/short/ids.ts`). */
import { sql } from "drizzle-orm";
import { index, primaryKey, sqliteTable, uniqueIndex } from "drizzle-orm/sqlite-core";
import { json, micros, object, stamps, text, uuid } from "#db/columns";

export const artifact = sqliteTable(
  "artifact",
  {
    workspace_id: uuid({ id: "workspace" }).notNull(),
    /** Ordered by time, so that the newest artifacts have the largest ids. */
    id: uuid({ id: "uuid" }).notNull(),
    ...stamps(),
    key: text(),
    type: text(),
    description: text({ long: true }),
    data: json({ long: true }),
    metadata_: object<Record<string, string>>({ long: true }),
    flow_run_id: uuid({ id: "uuid" }),
    task_run_id: uuid({ id: "uuid" }),
  },
  (t) => [
    primaryKey({ columns: [t.workspace_id, t.id] }),
    // An index ends with the key of the table, so the artifacts of a run and of a key are in the order of their ids.
    index("artifact_key").on(t.workspace_id, t.key),
    // The few artifacts that were changed, by the time of the last change. The times of the others are in the order of their ids.
    index("artifact_changed")
      .on(t.workspace_id, t.updated)
      .where(sql`updated > created`),
    index("artifact_key_changed")
      .on(t.workspace_id, t.key, t.updated)
      .where(sql`key is not null and updated > created`),
    index("artifact_flow_run")
      .on(t.flow_run_id)
      .where(sql`flow_run_id is not null`),
    index("artifact_task_run")
      .on(t.task_run_id)
      .where(sql`task_run_id is not null`),
  ],
);

/** A row for each key that an artifact in `artifact` has. The other facts of a collection are those of its latest artifact. */
export const artifact_collection = sqliteTable(
  "artifact_collection",
  {
    workspace_id: uuid({ id: "workspace" }).notNull(),
    id: uuid({ id: "uuid" }).notNull(),
    key: text().notNull(),
    /** The artifact with the largest id of those with the key. It is in `artifact`. */
    latest_id: uuid({ id: "uuid" }).notNull(),
    created: micros().notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.workspace_id, t.id] }),
    uniqueIndex("artifact_collection_key").on(t.workspace_id, t.key),
  ],
);

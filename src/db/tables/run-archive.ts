/** Flow runs that have moved to the archive, past their retention. A run is in `flow_run` or here, never in both. */
import { primaryKey, sqliteTable } from "drizzle-orm/sqlite-core";
import { integer, micros, text, uuid, workspaceId } from "#db/columns";

/** A row for each bundle, which has many runs with all their rows (`resources/flow-runs/archived-parts.ts`). */
export const run_archive = sqliteTable(
  "run_archive",
  {
    workspace_id: workspaceId(),
    /** When the first and the last of the runs ended. */
    first_end: micros().notNull(),
    /** The id of the bundle, as `archived_run` has it. */
    id: uuid({ id: "uuid" }).notNull(),
    last_end: micros().notNull(),
    /** The address of the object (`archive/bundle.ts`). */
    key: text().notNull(),
    bytes: integer().notNull(),
    index_at: integer().notNull(),
    index_digest: text().notNull(),
    /** The number of rows of `archived_run` that name the bundle. A bundle without such rows is removed. */
    run_count: integer().notNull(),
    /** A BLOB: the 16 bytes of the id of each run that the bundle was made of. Some may be restored or deleted now. */
    runs: text().notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspace_id, t.first_end, t.id] })],
);

/** A short row for each archived run: where the run is. */
export const archived_run = sqliteTable(
  "archived_run",
  {
    workspace_id: uuid({ id: "workspace" }).notNull(),
    id: uuid({ id: "uuid" }).notNull(),
    /** The start of the run. It leads to the run's archived logs (`log_archive`). */
    start: micros().notNull(),
    /** The key of the bundle in `run_archive`. */
    first_end: micros().notNull(),
    bundle: uuid({ id: "uuid" }).notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspace_id, t.id] })],
);

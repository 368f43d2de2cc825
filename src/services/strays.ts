/** Rows of workspaces that belong to another database. */
import { sql } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import { databaseNameOf } from "#databases";
import type { Database } from "#db/database";
import { deployment } from "#db/tables/deployment";
import { event_archive, event_segment } from "#db/tables/event";
import { flow_run } from "#db/tables/flow-run";
import { log_archive, log_segment } from "#db/tables/log";
import { run_archive } from "#db/tables/run-archive";
import { work_pool } from "#db/tables/work-pool";
import { workspacesAfter } from "#services/sweep-store";
import type { SweepTools } from "#tools";

/** The tables whose rows make jobs act outside of the database. */
const TABLES: readonly SQLiteTable[] = [
  deployment,
  work_pool,
  flow_run,
  event_segment,
  event_archive,
  log_segment,
  log_archive,
  run_archive,
];

/** Whether a database has rows of a workspace that its jobs act on. */
export async function hasRowsOf(db: Database, workspaceId: string): Promise<boolean> {
  const found = await db.readAll(
    TABLES.map((table) => sql`select 1 from ${table} where workspace_id = ${workspaceId} limit 1`),
  );
  return found.some((rows) => rows.length > 0);
}

/**
 * The workspaces that have rows in the sweep's database, but belong to another one: rows that were copied, and are not
 * deleted yet. A job would act on them a second time. One seek for each workspace and table, if workspaces have
 * databases of their own.
 */
export async function findStrays({ db, dbName, settings }: SweepTools): Promise<string[]> {
  if (Object.keys(settings.databases).length === 0) return [];
  const found = await db.readAll(
    TABLES.map((table) => sql`with recursive ${workspacesAfter("", table)} select id from w where id is not null`),
  );
  const workspaces = new Set(found.flat().map(({ id }) => String(id)));
  return [...workspaces].filter((id) => databaseNameOf(settings, id) !== dbName);
}

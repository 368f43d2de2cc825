/** Removes bundles of logs from the archive: first the rows in D1, then the objects. */
import { sql } from "drizzle-orm";
import { each } from "#db/sql";
import { log_archive } from "#db/tables/log";
import type { Micros } from "#lib/clock";
import { isRun } from "#resources/logs/archived-bundles";
import type { MoveTools } from "#resources/logs/archived-move";

/** A bundle that may be removed. */
export interface OldBundle {
  first_start: Micros;
  id: string;
  /** The hexadecimal digits of the column `runs`. */
  runs: string;
}

/**
 * Removes the bundles of which no run exists any more, in D1 or in the archive. If the process dies in between, a sweep removes the objects. A
 * run can never exist again, so a bundle that is read meanwhile is one that nobody can ask for.
 */
export async function removeBundles(tools: MoveTools, bundles: readonly OldBundle[]): Promise<void> {
  const { db, workspaceId, archive } = tools;
  const results = await db.batch(
    bundles.map(
      ({ first_start, id, runs }) => sql`delete from ${log_archive}
        where workspace_id = ${workspaceId} and first_start = ${first_start} and id = ${id} and not exists (
          select 1 from ${each(idsIn(runs))} k where ${isRun(workspaceId, "k.value")})
        returning key`,
    ),
  );
  await archive.delete(results.flatMap(({ rows }) => rows.map(({ key }) => String(key))));
}

/** The ids of the runs in the column `runs`. */
export function idsIn(digits: string): string[] {
  const ids = digits.toLowerCase().match(/.{32}/g) ?? [];
  return ids.map((id) => id.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"));
}

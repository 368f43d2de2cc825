/** How the object learns from D1 what limits there are. */
import { sql } from "drizzle-orm";
import { concurrency_limit } from "#db/tables/concurrency-limit";
import type { Env } from "#env";
import type { Wanted } from "#objects/concurrency-limits/definitions";
import type { Limit } from "#objects/concurrency-limits/ledger";
import { makeTools, type Tools } from "#tools";

type Row = Pick<typeof concurrency_limit.$inferSelect, "id" | "name" | "limit" | "active" | "slot_decay_per_second">;

/** The tools of an object's own work. */
export function repairTools(env: Env, workspace: string, waitUntil: (work: Promise<unknown>) => void): Tools {
  return makeTools(env, workspace, waitUntil);
}

/** Reads definitions, in one round trip. */
export async function readLimits(tools: Tools, wanted: Wanted): Promise<Limit[]> {
  const select = sql`select id, name, "limit", active, slot_decay_per_second from ${concurrency_limit} where workspace_id = ${tools.workspaceId}`;
  const among = (values: readonly string[]) => sql`(select value from json_each(${JSON.stringify(values)}))`;
  const results = await tools.db.readAll([
    // Two ranges of the index on names, around those of deployments.
    ...(wanted.common ? [sql`${select} and name < 'deployment:'`, sql`${select} and name >= 'deployment;'`] : []),
    ...(wanted.names.length > 0 ? [sql`${select} and name in ${among(wanted.names)}`] : []),
    ...(wanted.ids.length > 0 ? [sql`${select} and id in ${among(wanted.ids)}`] : []),
  ]);
  // The columns were named above.
  return (results.flat() as unknown as Row[]).map((row) => ({ ...row, active: row.active === 1 }));
}

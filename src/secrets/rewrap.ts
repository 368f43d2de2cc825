/** Encrypts the keys of workspaces with the newest key of the deployment, so that the older ones may be forgotten. */
import { sql } from "drizzle-orm";
import { data_key } from "#db/tables/data-key";
import { unwrap, wrap, wrappingKeys } from "#secrets/wrapping";
import type { SweepTools } from "#tools";

/** How many keys a turn encrypts. A workspace has one or two. */
const AT_ONCE = 200;

/** Encrypts some keys anew. Gives how many. A key that another process has encrypted meanwhile stays as it is. */
export async function rewrapKeys({ db, settings }: Pick<SweepTools, "db" | "settings">): Promise<number> {
  if (settings.secretsKeys.length === 0) return 0;
  const all = await wrappingKeys(settings);
  const [newest] = all;
  if (!newest) return 0;
  const older = new Map(all.slice(1).map((key) => [key.id, key]));
  if (older.size === 0) return 0;
  const rows = await db.rows<typeof data_key.$inferSelect>(
    sql`select * from ${data_key} where wrapped_by in (select value from json_each(${JSON.stringify([...older.keys()])}))
      limit ${AT_ONCE}`,
  );
  for (const { workspace_id, id, wrapped, wrapped_by } of rows) {
    const by = older.get(wrapped_by);
    if (!by) continue;
    const anew = await wrap(newest, await unwrap(by, wrapped, workspace_id, id), workspace_id, id);
    await db.run(sql`update ${data_key} set wrapped = ${anew}, wrapped_by = ${newest.id}
      where workspace_id = ${workspace_id} and id = ${id} and wrapped = ${wrapped}`);
  }
  return rows.length;
}

/** Gives each workspace a new key after the key of the deployment was replaced. */
import { type SQL, sql } from "drizzle-orm";
import { newestKeyOf } from "#db/rows/data-keys";
import { data_key } from "#db/tables/data-key";
import { each } from "#db/sql";
import { log } from "#lib/log";
import { makeKey } from "#secrets/data-keys";
import { unwrap, wrap, type WrappingKey, wrappingKeys } from "#secrets/wrapping";
import type { SweepTools } from "#tools";

type Row = typeof data_key.$inferSelect;
type Needed = Pick<SweepTools, "db" | "settings" | "ids" | "clock">;

/** How many workspaces a turn handles. */
const AT_ONCE = 100;

/**
 * Handles some workspaces that have keys under an older key of the deployment: adds a new key, which encrypts from now
 * on, and encrypts the present keys with the newest key of the deployment. Both in one transaction. Returns how many
 * workspaces it found: fewer than `most` if none is left.
 */
export async function rotateDataKeys(tools: Needed, most = AT_ONCE): Promise<number> {
  const { db, settings } = tools;
  if (settings.secretsKeys.length < 2) return 0;
  const [newest, ...others] = await wrappingKeys(settings);
  const older = new Map(others.filter(({ id }) => id !== newest?.id).map((key) => [key.id, key]));
  if (!newest || older.size === 0) return 0;
  const isOlder = sql`wrapped_by in (select value from ${each([...older.keys()])})`;
  const rows = await db.rows<Row>(sql`select k.* from
    (select distinct workspace_id from ${data_key} where ${isOlder} limit ${most}) w
    cross join ${data_key} k on k.workspace_id = w.workspace_id where k.${isOlder}`);
  const workspaces = Map.groupBy(rows, ({ workspace_id }) => workspace_id);
  for (const [workspaceId, keys] of workspaces) await rotate(tools, workspaceId, { newest, older, keys });
  return workspaces.size;
}

interface Rotation {
  newest: WrappingKey;
  older: ReadonlyMap<string, WrappingKey>;
  keys: readonly Row[];
}

async function rotate({ db, ids, clock }: Needed, workspaceId: string, { newest, older, keys }: Rotation) {
  const wrapped: { row: Row; anew: string }[] = [];
  for (const row of keys) {
    const by = older.get(row.wrapped_by);
    if (!by) continue;
    try {
      wrapped.push({
        row,
        anew: await wrap(newest, await unwrap(by, row.wrapped, workspaceId, row.id), workspaceId, row.id),
      });
    } catch (error) {
      log({ workspaceId }, "error", "a key of the workspace is damaged", { key: row.id, by: row.wrapped_by, error });
    }
  }
  const [first] = wrapped;
  if (!first) return;
  const added = await makeKey(newest, workspaceId, ids);
  // Another turn may have done it: then the rows are no longer as they were read, and nothing is written.
  const isAsRead = ({ row }: { row: Row }): SQL =>
    sql`workspace_id = ${workspaceId} and id = ${row.id} and wrapped = ${row.wrapped}`;
  await db.batch([
    sql`insert into ${data_key} (workspace_id, id, created, wrapped, wrapped_by)
      select workspace_id, ${added.id}, max(${clock()}, created + 1), ${added.wrapped}, ${newest.id} from ${data_key}
      where workspace_id = ${workspaceId} and id = ${newestKeyOf(workspaceId)}
        and exists (select 1 from ${data_key} where ${isAsRead(first)})`,
    ...wrapped.map(
      (one) => sql`update ${data_key} set wrapped = ${one.anew}, wrapped_by = ${newest.id} where ${isAsRead(one)}`,
    ),
  ]);
}

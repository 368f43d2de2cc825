/** The block document where results are stored by default: a value of the configuration. */
import { type SQL, sql } from "drizzle-orm";
import { block_document } from "#db/tables/block";
import { configuration } from "#db/tables/variable";
import type { Tools } from "#tools";

/** Prefect: the key in Prefect's configuration. */
export const RESULT_STORAGE = "server-default-result-storage";

const ID = sql.raw(`(value ->> '$.default_result_storage_block_id')`);

/** Removes the default if its document no longer exists. */
export async function forgetResultStorage({ db, workspaceId }: Tools): Promise<void> {
  await db.run(removeDangling(workspaceId));
}

/** The statement that removes the default if its document no longer exists. */
export function removeDangling(workspaceId: string): SQL {
  return sql`delete from ${configuration} where workspace_id = ${workspaceId} and key = ${RESULT_STORAGE}
    and not exists (select 1 from ${block_document} d where d.workspace_id = ${workspaceId} and d.id = ${ID})`;
}

/** The block document where results are stored by default: a value of the configuration. */
import { sql } from "drizzle-orm";
import { readJson } from "#db/database";
import { forgetResultStorage, RESULT_STORAGE } from "#db/rows/blocks";
import { block_document, block_schema } from "#db/tables/block";
import { configuration } from "#db/tables/variable";
import { refused, unprocessable } from "#lib/api-error";
import type { Tools } from "#tools";

/** The capability of blocks that can store results. */
const WRITE = "write-path";

/** Sets the default. Throws 404 for an unknown document, and 422 for one that cannot store results. */
export async function setResultStorage({ db, workspaceId, clock }: Tools, id: string) {
  const [found] = await db.rows<{ capabilities: string }>(
    sql`select s.capabilities from ${block_document} d cross join ${block_schema} s
      where d.workspace_id = ${workspaceId} and d.id = ${id}
        and s.workspace_id = ${workspaceId} and s.id = d.block_schema_id`,
  );
  if (!found) throw refused(404, `Block document ${id} not found.`);
  if (!readJson<string[]>(found.capabilities).includes(WRITE))
    throw unprocessable(`Block document ${id} cannot be used for result storage.`);
  const value = { default_result_storage_block_id: id };
  const now = clock();
  await db.repeatable([
    sql`insert into ${configuration} (workspace_id, key, created, updated, value)
      values (${workspaceId}, ${RESULT_STORAGE}, ${now}, ${now}, ${JSON.stringify(value)})
      on conflict (workspace_id, key) do update set value = excluded.value, updated = excluded.updated`,
    // The document may be deleted meanwhile.
    forgetResultStorage(
      workspaceId,
      sql`not exists (select 1 from ${block_document} where workspace_id = ${workspaceId} and id = ${id})`,
    ),
  ]);
  return value;
}

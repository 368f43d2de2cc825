/** Rows of blocks, as several stores write and show them, and the removal of blocks with all that names them. */
import { type SQL, sql } from "drizzle-orm";
import { codec } from "#db/codec";
import type { Database } from "#db/database";
import { jsonValue, list } from "#db/sql";
import {
  block_document,
  block_document_reference,
  block_schema,
  block_schema_reference,
  block_type,
} from "#db/tables/block";
import { configuration } from "#db/tables/variable";
import { deployment } from "#db/tables/deployment";
import { flow_run } from "#db/tables/flow-run";
import { type ApiError, integrityConflict } from "#lib/api-error";

/** Prefect: the key in Prefect's configuration of the document where results are stored by default. */
export const RESULT_STORAGE = "server-default-result-storage";

export type BlockTypeRow = typeof block_type.$inferSelect;
export type BlockSchemaRow = typeof block_schema.$inferSelect;
export type BlockDocumentRow = typeof block_document.$inferSelect;

/** Shows, makes and changes rows of block types. */
export const blockTypes = codec(block_type, { omit: ["workspace_id"] });
/** Shows, makes and changes rows of block schemas. */
export const blockSchemas = codec(block_schema, { omit: ["workspace_id"] });
/** Shows, makes and changes rows of block documents. */
export const blockDocuments = codec(block_document, { omit: ["workspace_id", "secrets"] });

/**
 * Throws a 409 if a document that a deployment or a run names does not exist. Most name none, so nothing is read. A
 * document may be deleted before the caller writes. Then the row names a document that no longer exists.
 */
export async function checkDocuments(
  { db, workspaceId }: { db: Database; workspaceId: string },
  ids: readonly (string | null | undefined)[],
  refusal: (missing: string) => ApiError = integrityConflict,
): Promise<void> {
  const named = ids.filter((id) => typeof id === "string");
  if (named.length === 0) return;
  const rows = await db.rows<{ id: string }>(
    sql`select id from ${block_document} where workspace_id = ${workspaceId} and id in ${list(named)}`,
  );
  const missing = named.find((id) => !rows.some((row) => row.id === id));
  if (missing !== undefined) throw refusal(missing);
}

/**
 * Removes documents with their references in both directions. Deployments and flow runs no longer name the documents.
 * `which` is a condition on `block_document`. All other statements select by it, so the documents go last.
 */
export function removeDocuments(workspaceId: string, which: SQL): SQL[] {
  const gone = sql`(select id from ${block_document} where workspace_id = ${workspaceId} and ${which})`;
  const inWorkspace = sql`workspace_id = ${workspaceId}`;
  return [
    sql`delete from ${block_document_reference} where ${inWorkspace} and parent_block_document_id in ${gone}`,
    sql`delete from ${block_document_reference} where ${inWorkspace} and reference_block_document_id in ${gone}`,
    sql`update ${deployment} set infrastructure_document_id = null
      where ${inWorkspace} and infrastructure_document_id is not null and infrastructure_document_id in ${gone}`,
    sql`update ${deployment} set storage_document_id = null
      where ${inWorkspace} and storage_document_id is not null and storage_document_id in ${gone}`,
    sql`update ${flow_run} set infrastructure_document_id = null
      where ${inWorkspace} and infrastructure_document_id is not null and infrastructure_document_id in ${gone}`,
    forgetResultStorage(workspaceId, sql`${jsonValue("value", "$.default_result_storage_block_id")} in ${gone}`),
    sql`delete from ${block_document} where ${inWorkspace} and ${which} returning id`,
  ];
}

/** Removes the default of where results are stored, if its document meets a condition. */
export function forgetResultStorage(workspaceId: string, which: SQL): SQL {
  return sql`delete from ${configuration} where workspace_id = ${workspaceId} and key = ${RESULT_STORAGE} and ${which}`;
}

/** Removes schemas with their references in both directions and with their documents. `which` is a condition on `block_schema`. */
export function removeSchemas(workspaceId: string, which: SQL): SQL[] {
  const gone = sql`(select id from ${block_schema} where workspace_id = ${workspaceId} and ${which})`;
  const inWorkspace = sql`workspace_id = ${workspaceId}`;
  return [
    ...removeDocuments(workspaceId, sql`block_schema_id in ${gone}`),
    sql`delete from ${block_schema_reference} where ${inWorkspace} and parent_block_schema_id in ${gone}`,
    sql`delete from ${block_schema_reference} where ${inWorkspace} and reference_block_schema_id in ${gone}`,
    sql`delete from ${block_schema} where ${inWorkspace} and ${which} returning id`,
  ];
}

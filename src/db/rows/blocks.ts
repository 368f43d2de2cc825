/** Rows of blocks, as several stores write and show them, and the removal of blocks with all that names them. */
import { type SQL, sql } from "drizzle-orm";
import { codec } from "#db/codec";
import {
  block_document,
  block_document_reference,
  block_schema,
  block_schema_reference,
  block_type,
} from "#db/tables/block";
import { deployment } from "#db/tables/deployment";
import { flow_run } from "#db/tables/flow-run";

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
    sql`delete from ${block_document} where ${inWorkspace} and ${which} returning id`,
  ];
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

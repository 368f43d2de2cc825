/** The plans of the statements about blocks: they seek, and scan no table. */
import { sql } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { selectDocumentTrees, selectSchemaSizes, selectSchemaTrees, treeBytes, typeBytes } from "#db/block-trees";
import { removeDocuments, removeSchemas } from "#db/rows/blocks";
import { block_document, block_schema, block_type } from "#db/tables/block";
import { namedDocuments } from "#filters/blocks";
import { whereClause } from "#filters/joins";
import { orderOfDocuments } from "#filters/sorts";
import { planOf } from "../support/plans";
import { WORKSPACE } from "../support/world";

const ID = "00000000-0000-4000-8000-00000000dead";
const roots = sql`select value as id from json_each('[]')`;

/** A scan of a table of blocks, deployments or runs. Scans of `json_each`, of walks and of parts of the statement are short. */
const SCAN =
  /SCAN (?:block_\w+|deployment|flow_run|configuration|[detsx])\b(?! USING (?:COVERING )?INDEX \S+ \(workspace_id=)/;

const STATEMENTS = [
  ...selectDocumentTrees(WORKSPACE, roots),
  ...selectSchemaTrees(WORKSPACE, roots),
  selectSchemaSizes(WORKSPACE, roots),
  sql`select ${typeBytes(WORKSPACE, sql`value`)} from json_each('[]')`,
  ...removeDocuments(WORKSPACE, sql`id = ${ID}`),
  ...removeSchemas(WORKSPACE, sql`id = ${ID}`),
  ...removeSchemas(WORKSPACE, sql`block_type_id = ${ID}`),
  sql`select ${treeBytes(WORKSPACE, "documents", sql`value`)} from json_each('[]')`,
  sql`select ${treeBytes(WORKSPACE, "schemas", sql`value`)} from json_each('[]')`,
];

test.for(STATEMENTS.map((statement, index) => [index, statement] as const))(
  "statement %d scans no table",
  async ([, statement]) => {
    expect(await planOf(statement)).not.toMatch(SCAN);
  },
);

describe("a page of documents", () => {
  const where = whereClause("block_documents", { block_documents: namedDocuments }, WORKSPACE);
  const page = (sort: "NAME_ASC" | "NAME_DESC" | "BLOCK_TYPE_AND_NAME_ASC") =>
    sql`select id from ${block_document} where ${where} order by ${orderOfDocuments(sort)} limit 10`;

  test.for([
    ["NAME_ASC", "block_document_by_name"],
    ["NAME_DESC", "block_document_by_name"],
    ["BLOCK_TYPE_AND_NAME_ASC", "block_document_by_type"],
  ] as const)("by %s comes from the index %s, unsorted", async ([sort, index]) => {
    const plan = await planOf(page(sort));
    expect(plan).toContain(`USING COVERING INDEX ${index} (workspace_id=? AND is_anonymous=?)`);
    expect(plan).not.toContain("TEMP B-TREE");
  });
});

test("pages of types and of schemas come from their indexes, and so do the capabilities", async () => {
  const types = sql`select id from ${block_type} where workspace_id = ${WORKSPACE} order by name, id limit 10`;
  expect(await planOf(types)).toMatch(/^SEARCH block_type USING COVERING INDEX block_type_name \(workspace_id=\?\)$/);
  const schemas = sql`select id, created from ${block_schema} where workspace_id = ${WORKSPACE}
    order by created desc, id desc limit 10`;
  expect(await planOf(schemas)).toMatch(
    /^SEARCH block_schema USING COVERING INDEX block_schema_created \(workspace_id=\?\)$/,
  );
  const capabilities = sql`select distinct one.value from ${block_schema} cross join json_each(capabilities) one
    where workspace_id = ${WORKSPACE} order by one.value limit 10`;
  expect(await planOf(capabilities)).toContain("COVERING INDEX block_schema_capabilities (workspace_id=?)");
});

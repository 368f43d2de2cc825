/** Reads block documents and block schemas with all that they refer to, at any depth, in one round trip. */
import { type SQL, sql } from "drizzle-orm";
import {
  block_document,
  block_document_reference,
  block_schema,
  block_schema_reference,
  block_type,
} from "#db/tables/block";

/** How many bytes the rows of one read may have together: an isolate has 128 MB, and an answer repeats rows. */
export const MAX_TREE_BYTES = 16_000_000;
/** How many rows, and how many references, one read follows. */
export const MAX_TREE_ROWS = 10_000;
/** How many bytes a row has in an answer beside its long texts: its ids, its times, and the names of its fields. */
const ROW_BYTES = 500;

/** The ids that a walk along references reaches. A cycle ends the walk, because each id is found once. */
function walk(name: string, roots: SQL, edges: SQL, parent: string, child: string, workspaceId: string): SQL {
  const reached = sql.identifier(name);
  return sql`${reached}(id) as (${roots} union
    select e.${sql.identifier(child)} from ${reached} cross join ${edges} e
    where e.workspace_id = ${workspaceId} and e.${sql.identifier(parent)} = ${reached}.id limit ${MAX_TREE_ROWS})`;
}

const documents = (roots: SQL, workspaceId: string) =>
  walk(
    "documents",
    roots,
    sql`${block_document_reference}`,
    "parent_block_document_id",
    "reference_block_document_id",
    workspaceId,
  );

const schemas = (roots: SQL, workspaceId: string) =>
  walk(
    "schemas",
    roots,
    sql`${block_schema_reference}`,
    "parent_block_schema_id",
    "reference_block_schema_id",
    workspaceId,
  );

/** The statements that read schemas: `roots` selects their ids. `before` is a walk that `roots` may use. */
export function selectSchemaTrees(workspaceId: string, roots: SQL, before: SQL = sql``): SQL[] {
  const tree = sql`with recursive ${before} ${schemas(roots, workspaceId)}`;
  const total = sql`(select sum(octet_length(s.fields)) from schemas cross join ${block_schema} s
    where s.workspace_id = ${workspaceId} and s.id = schemas.id)`;
  return [
    sql`${tree}, size(bytes) as materialized (select ${total})
      select s.id, s.created, s.updated, s.checksum, s.version, s.block_type_id, s.capabilities,
        iif(size.bytes > ${MAX_TREE_BYTES}, null, s.fields) as fields
      from schemas cross join ${block_schema} s cross join size
      where s.workspace_id = ${workspaceId} and s.id = schemas.id`,
    sql`${tree} select e.parent_block_schema_id, e.name, e.reference_block_schema_id
      from schemas cross join ${block_schema_reference} e
      where e.workspace_id = ${workspaceId} and e.parent_block_schema_id = schemas.id limit ${MAX_TREE_ROWS}`,
  ];
}

/** The statement that reads the types of schemas. */
export function selectTypesOfSchemas(workspaceId: string, roots: SQL): SQL {
  return sql`with recursive ${schemas(roots, workspaceId)} select t.* from ${block_type} t
    where t.workspace_id = ${workspaceId} and t.id in
      (select s.block_type_id from schemas cross join ${block_schema} s
       where s.workspace_id = ${workspaceId} and s.id = schemas.id)`;
}

/**
 * The statements that read documents: the documents, their references, their schemas, the references of the schemas,
 * and the types. `roots` selects the ids of the documents. If the rows have too many bytes together, `data` or `fields`
 * is null in all of them. Without `isWhole` the documents inside the documents are not read.
 */
export function selectDocumentTrees(workspaceId: string, roots: SQL, isWhole = true): SQL[] {
  const reached = isWhole ? documents(roots, workspaceId) : sql`documents(id) as (${roots})`;
  const tree = sql`with recursive ${reached}`;
  const joined = sql`documents cross join ${block_document} d on d.workspace_id = ${workspaceId} and d.id = documents.id`;
  const bytes = sql`(select sum(octet_length(d.data) + octet_length(d.secrets)) from ${joined})`;
  const schemaRoots = sql`select d.block_schema_id from ${joined}`;
  return [
    sql`${tree}, size(bytes) as materialized (select ${bytes})
      select d.id, d.created, d.updated, d.name, d.is_anonymous, d.block_type_id, d.block_type_name, d.block_schema_id,
        iif(size.bytes > ${MAX_TREE_BYTES}, null, d.data) as data,
        iif(size.bytes > ${MAX_TREE_BYTES}, null, d.secrets) as secrets
      from ${joined} cross join size`,
    sql`${tree} select e.parent_block_document_id, e.name, e.reference_block_document_id
      from documents cross join ${block_document_reference} e
      on e.workspace_id = ${workspaceId} and e.parent_block_document_id = documents.id limit ${MAX_TREE_ROWS}`,
    ...selectSchemaTrees(workspaceId, schemaRoots, sql`${reached},`),
    sql`with recursive ${reached}, ${schemas(schemaRoots, workspaceId)} select t.* from ${block_type} t
      where t.workspace_id = ${workspaceId} and t.id in
        (select d.block_type_id from ${joined} union
         select s.block_type_id from schemas cross join ${block_schema} s
         where s.workspace_id = ${workspaceId} and s.id = schemas.id)`,
  ];
}

/**
 * How many bytes a document `x` has in an answer, with its type: the answer repeats the type in each document inside a
 * document.
 */
export function documentBytes(workspaceId: string): SQL {
  return sql`(octet_length(x.data) + octet_length(x.secrets) + octet_length(x.name) + ${ROW_BYTES}
    + ${typeBytes(workspaceId, sql`x.block_type_id`)})`;
}

/** How many bytes the texts of a type have: an expression for the type's id. */
export function typeBytes(workspaceId: string, id: SQL): SQL {
  const texts = ["logo_url", "documentation_url", "description", "code_example"];
  const bytes = sql.raw(texts.map((name) => `coalesce(octet_length(t.${name}), 0)`).join(" + "));
  return sql`coalesce((select ${bytes} from ${block_type} t where t.workspace_id = ${workspaceId} and t.id = ${id}), 0)`;
}

/**
 * How much there is in schemas and in the schemas that they refer to: the schemas, their bytes, and their references.
 * `roots` selects the ids. The numbers end above their bounds.
 */
export function selectSchemaSizes(workspaceId: string, roots: SQL): SQL {
  return sql`with recursive ${schemas(roots, workspaceId)} select count(*) as schemas,
      coalesce(sum(octet_length(s.fields)), 0) as bytes,
      (select count(*) from (select 1 from schemas cross join ${block_schema_reference} e
        where e.workspace_id = ${workspaceId} and e.parent_block_schema_id = schemas.id limit ${MAX_TREE_ROWS})) as "references"
    from schemas cross join ${block_schema} s where s.workspace_id = ${workspaceId} and s.id = schemas.id`;
}

/**
 * How many bytes the answers of rows have, each with all that it refers to: an expression for a row's `id`. A document
 * that is referred to twice is shown twice, so its bytes count twice. The sum ends after a thousand rows.
 */
export function treeBytes(workspaceId: string, kind: "documents" | "schemas", id: SQL): SQL {
  const isDocument = kind === "documents";
  const table = isDocument ? block_document : block_schema;
  const edges = isDocument ? block_document_reference : block_schema_reference;
  const noun = isDocument ? "document" : "schema";
  const [parent, child] = [`parent_block_${noun}_id`, `reference_block_${noun}_id`].map((name) => sql.identifier(name));
  const size = isDocument ? documentBytes(workspaceId) : sql`octet_length(x.fields) + ${ROW_BYTES}`;
  return sql`(with recursive below(id, level) as (select ${id}, 0 union all
      select e.${child}, level + 1 from below cross join ${edges} e
      where e.workspace_id = ${workspaceId} and e.${parent} = below.id and level < ${MAX_DEPTH} limit ${MAX_NESTED})
    select sum(${size}) from below cross join ${table} x where x.workspace_id = ${workspaceId} and x.id = below.id)`;
}

/** How deep documents may be inside one another. Prefect: `_BLOCK_DOCUMENT_REFERENCE_MAX_DEPTH`. */
export const MAX_DEPTH = 50;
/** How many documents may be shown inside one document. */
export const MAX_NESTED = 1_000;

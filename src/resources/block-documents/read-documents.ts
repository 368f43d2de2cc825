/** Reads block documents as answers show them, with the documents inside them, and with or without their secrets. */
import { type SQL, sql } from "drizzle-orm";
import * as z from "zod";
import { MAX_TREE_ROWS, selectDocumentTrees, treeBytes } from "#db/block-trees";
import { readJson } from "#db/database";
import { readBySize } from "#db/long-values";
import type { BlockDocumentRow, BlockSchemaRow, BlockTypeRow } from "#db/rows/blocks";
import { each } from "#db/sql";
import { block_document, block_type } from "#db/tables/block";
import { WorkspaceStore } from "#db/workspace-store";
import { ApiError } from "#lib/api-error";
import { chunks } from "#lib/chunks";
import { isObject } from "#lib/json-value";
import type { Portions } from "#lib/portions";
import {
  type DocumentEdge,
  documentShower,
  type Opened,
  type ShownDocument,
  tooLarge,
} from "#resources/block-documents/full-document";
import { openSecrets } from "#resources/block-documents/sealed";
import { type Data, revealSecrets } from "#resources/block-documents/secrets";
import { schemaShower, type SchemaEdge } from "#resources/block-schemas/full-schemas";
import { checkSchemas } from "#resources/block-schemas/store";
import type { Tools } from "#tools";
import { MAX_LIMIT } from "#wire/paging";
import { Bool } from "#wire/scalars";

/** The query of a read: whether the answer has the values of secret fields. */
export const SecretsQuery = z.object({ include_secrets: Bool.default(false) });

/** The rows that the statements of `selectDocumentTrees` return. */
export type TreeRows = Record<string, unknown>[][];

/** Reads the documents of one workspace. */
export class DocumentReader extends WorkspaceStore {
  private readonly tools: Tools;
  private readonly withSecrets: boolean;

  constructor(tools: Tools, { include_secrets }: { include_secrets: boolean }) {
    super(tools);
    this.tools = tools;
    this.withSecrets = include_secrets;
  }

  /** One document, or undefined. Throws 413 if it has too much inside. */
  async byId(id: string): Promise<ShownDocument | undefined> {
    const [shown] = await this.readTrees(sql`select value as id from ${each([id])}`);
    return shown;
  }

  /** The documents with these ids. Throws 413 if they have too much inside. */
  byIds(ids: readonly string[]): Promise<ShownDocument[]> {
    return this.readTrees(sql`select value as id from ${each(ids)}`);
  }

  /** The document of a type with this name, or undefined. */
  async byName(slug: string, name: string): Promise<ShownDocument | undefined> {
    const [shown] = await this.readTrees(sql`select d.id from ${block_type} t cross join ${block_document} d
      where t.workspace_id = ${this.workspaceId} and t.slug = ${slug}
        and d.workspace_id = ${this.workspaceId} and d.block_type_id = t.id and d.name = ${name}`);
    return shown;
  }

  /** All named documents of a type, by their names. */
  async ofType(typeId: string): Promise<Portions<ShownDocument>> {
    const all = await this.db.rows<{ id: string }>(sql`select id from ${block_document}
      where workspace_id = ${this.workspaceId} and block_type_id = ${typeId} and is_anonymous = 0 order by name, id`);
    // There is no limit. A statement with all sizes would stop the database for other requests.
    const pages: Portions<ShownDocument>[] = [];
    for (const page of chunks(all, MAX_LIMIT))
      pages.push(
        await this.inPortions(sql`select d.id, d.block_schema_id, asked.key as place
          from ${each(page.map(({ id }) => id))} asked cross join ${block_document} d
          where d.workspace_id = ${this.workspaceId} and d.id = asked.value`),
      );
    return pages.flat();
  }

  /** A page of documents. `where` and `order` come from the filters. */
  list(where: SQL, order: SQL, limit: number, offset: number): Promise<Portions<ShownDocument>> {
    return this.inPortions(sql`select id, block_schema_id, row_number() over () as place from
      (select id, block_schema_id from ${block_document} where ${where} order by ${order} limit ${limit} offset ${offset})`);
  }

  /** How many documents there are. */
  count(where: SQL): Promise<number> {
    return this.countRows(block_document, where);
  }

  /** Shows the documents that the statements of `selectDocumentTrees` returned. */
  async show(ids: readonly string[], rows: TreeRows): Promise<ShownDocument[]> {
    const [documents = [], edges = [], schemas = [], schemaEdges = [], types = []] = rows;
    const typeRows = types as unknown as BlockTypeRow[];
    const schemaRows = schemas as unknown as BlockSchemaRow[];
    checkSchemas(schemaRows);
    if (edges.length >= MAX_TREE_ROWS) throw tooLarge(ids[0] ?? "");
    const show = documentShower({
      documents: await Promise.all((documents as unknown as BlockDocumentRow[]).map((row) => this.open(row))),
      edges: edges as unknown as DocumentEdge[],
      types: typeRows,
      showSchema: schemaShower({
        schemas: schemaRows,
        edges: schemaEdges as unknown as SchemaEdge[],
        types: typeRows,
      }),
    });
    return ids.flatMap((id) => show(id) ?? []);
  }

  private async open(row: BlockDocumentRow & { data: string | null }): Promise<Opened> {
    // The rows are too large to be read together.
    if (row.data === null) throw tooLarge(row.id);
    const stored = readJson<unknown>(row.data);
    const data = isObject(stored) ? stored : {};
    if (!this.withSecrets) return { row, data };
    return { row, data: revealSecrets(data, await openSecrets(this.tools, row)) };
  }

  /** Reads the documents with all that is inside them, in one round trip. */
  private async readTrees(roots: SQL): Promise<ShownDocument[]> {
    const [asked = [], ...rows] = await this.db.readAll([roots, ...selectDocumentTrees(this.workspaceId, roots)]);
    return this.show(
      asked.map(({ id }) => String(id)),
      rows,
    );
  }

  /** Reads a list in portions of some megabytes. `page` selects `id`, `block_schema_id` and `place`, the order. */
  private async inPortions(page: SQL): Promise<Portions<ShownDocument>> {
    const schemaBytes = treeBytes(this.workspaceId, "schemas", sql`page.block_schema_id`);
    const sizes = await this.db.rows<{ id: string; bytes: number }>(sql`with page as materialized (${page})
      select id, coalesce(${treeBytes(this.workspaceId, "documents", sql`page.id`)}, 0) + coalesce(${schemaBytes}, 0) as bytes
      from page order by place`);
    return readBySize(sizes, (ids) => this.readSome(ids));
  }

  /** The documents of a portion. If one has too much inside, the documents of the portion are shown without what is inside. */
  private async readSome(ids: readonly string[]): Promise<ShownDocument[]> {
    const roots = sql`select value as id from ${each(ids)}`;
    try {
      return await this.readTrees(roots);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const rows = await this.db.readAll(selectDocumentTrees(this.workspaceId, roots, false));
      return withReferences(await this.show(ids, rows), rows[1] as unknown as DocumentEdge[]);
    }
  }
}

/** The documents with the references that a client may send in place of the documents inside. */
function withReferences(shown: readonly ShownDocument[], edges: readonly DocumentEdge[]): ShownDocument[] {
  return shown.map((one) => {
    const own = edges.filter(({ parent_block_document_id: id }) => id === one.id);
    const references = own.map(({ name, reference_block_document_id: id }) => [
      name,
      { $ref: { block_document_id: id } },
    ]);
    return { ...one, data: { ...(isObject(one.data) && one.data), ...(Object.fromEntries(references) as Data) } };
  });
}

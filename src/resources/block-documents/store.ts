/** Writes block documents and their references to D1, of one workspace. */
import { type SQL, sql } from "drizzle-orm";
import { documentBytes, MAX_DEPTH, MAX_NESTED, selectDocumentTrees } from "#db/block-trees";
import type { Written } from "#db/database";
import { type BlockDocumentRow, removeDocuments } from "#db/rows/blocks";
import { isNewestKey } from "#db/rows/data-keys";
import { each, list } from "#db/sql";
import { block_document, block_document_reference, block_schema, block_type } from "#db/tables/block";
import { WorkspaceStore } from "#db/workspace-store";
import type { TreeRows } from "#resources/block-documents/read-documents";
import type { Reference } from "#resources/block-documents/references";

/** What a creation has to know of the rows that the document names. */
export interface Surroundings {
  /** The name of the type, or undefined. */
  type: { name: string } | undefined;
  /** The fields of the schema as JSON, or undefined. */
  schema: { fields: string; block_type_id: string } | undefined;
  isTaken: boolean;
  inside: Inside;
}

/** The documents that references lead to. */
export interface Inside {
  /** 1 if all referenced documents exist, otherwise 0. */
  found: number;
  /** How deep the documents are inside one another, and how many they are. Both end just above their bounds. */
  depth: number;
  count: number;
  /** How many bytes the documents have together in an answer. */
  bytes: number;
}

/** A row that is written, and the key of the workspace that has encrypted its secrets. Null if it has none. */
export interface SealedRow {
  row: BlockDocumentRow;
  keyId: string | null;
}

/** The documents of one workspace. */
export class BlockDocumentStore extends WorkspaceStore {
  /** Reads what a new document names. */
  async surroundings(
    { block_type_id, block_schema_id, name }: Pick<BlockDocumentRow, "block_type_id" | "block_schema_id" | "name">,
    references: readonly Reference[],
  ): Promise<Surroundings> {
    const ofWorkspace = sql`workspace_id = ${this.workspaceId}`;
    const [types = [], schemas = [], same = [], inside = []] = await this.db.readAll([
      sql`select name from ${block_type} where ${ofWorkspace} and id = ${block_type_id}`,
      sql`select fields, block_type_id from ${block_schema} where ${ofWorkspace} and id = ${block_schema_id}`,
      sql`select id from ${block_document} where ${ofWorkspace} and block_type_id = ${block_type_id} and name = ${name}`,
      this.selectInside(references),
    ]);
    return {
      type: types[0] as Surroundings["type"],
      schema: schemas[0] as Surroundings["schema"],
      isTaken: same.length > 0,
      inside: inside[0] as unknown as Inside,
    };
  }

  /**
   * Writes a new document with its references, and reads it. Writes nothing if the name is taken, if what it names is
   * gone, or if the workspace has a newer key.
   */
  async insert({ row, keyId }: SealedRow, references: readonly Reference[]): Promise<TreeRows> {
    const { workspace_id, id, created, updated, name, is_anonymous, block_type_id, block_type_name, data } = row;
    const statements = [
      sql`insert into ${block_document} (workspace_id, id, created, updated, name, is_anonymous, block_type_id,
          block_type_name, block_schema_id, data, secrets)
        select ${workspace_id}, ${id}, ${created}, ${updated}, ${name}, ${is_anonymous}, ${block_type_id},
          ${block_type_name}, ${row.block_schema_id}, ${data}, ${row.secrets}
        where exists (select 1 from ${block_type} where workspace_id = ${workspace_id} and id = ${block_type_id})
          and exists (select 1 from ${block_schema} where workspace_id = ${workspace_id} and id = ${row.block_schema_id})
          and ${this.areThere(references)} and ${isNewestKey(workspace_id, keyId)}
        on conflict do nothing`,
      this.insertReferences(row, references),
    ];
    return treeOf(await this.db.repeatable([...statements, ...this.selectTree(id, true)]), statements.length);
  }

  /** One row with the fields of its schema, of another schema, and what the references lead to. */
  async readForUpdate(id: string, otherSchemaId: string | null, references: readonly Reference[]) {
    const ofWorkspace = sql`workspace_id = ${this.workspaceId}`;
    const [rows = [], schemas = [], others = [], inside = []] = await this.db.readAll([
      sql`select * from ${block_document} where ${ofWorkspace} and id = ${id}`,
      sql`select fields from ${block_schema} where ${ofWorkspace} and id =
        (select block_schema_id from ${block_document} where ${ofWorkspace} and id = ${id})`,
      sql`select fields, block_type_id from ${block_schema} where ${ofWorkspace} and id = ${otherSchemaId}`,
      this.selectInside(references),
    ]);
    return {
      row: rows[0] as BlockDocumentRow | undefined,
      fields: (schemas[0] as Surroundings["schema"])?.fields ?? "{}",
      other: others[0] as Surroundings["schema"],
      inside: inside[0] as unknown as Inside,
    };
  }

  /**
   * Replaces the data and the references of a row, and reads the document without those inside it. Writes nothing if the
   * row is no longer as it was read, if a referenced document is gone, if the workspace has a newer key (all `changed`),
   * or if a reference would lead back to the row (`cycle`).
   */
  async replace(
    before: BlockDocumentRow,
    { row: after, keyId }: SealedRow,
    references: readonly Reference[],
  ): Promise<{ outcome: "written" | "changed" | "cycle"; rows: TreeRows }> {
    const { workspace_id, id } = after;
    const leadsBack = this.leadsTo(id, references);
    const isNew = sql`exists (select 1 from ${block_document}
      where workspace_id = ${workspace_id} and id = ${id} and updated = ${after.updated})`;
    const statements = [
      sql`select ${leadsBack} as cycle`,
      sql`update ${block_document} set data = ${after.data}, secrets = ${after.secrets}, updated = ${after.updated},
          block_schema_id = ${after.block_schema_id}
        where workspace_id = ${workspace_id} and id = ${id} and updated = ${before.updated}
          and ${this.areThere(references)} and not ${leadsBack} and ${isNewestKey(workspace_id, keyId)}`,
      sql`delete from ${block_document_reference} where workspace_id = ${workspace_id}
        and parent_block_document_id = ${id} and ${isNew}`,
      this.insertReferences(after, references),
    ];
    const written = await this.db.batch([...statements, ...this.selectTree(id, false)]);
    const rows = treeOf(written, statements.length);
    if (written[1]?.changes === 1) return { outcome: "written", rows };
    return { outcome: written[0]?.rows[0]?.["cycle"] === 1 ? "cycle" : "changed", rows };
  }

  /** The rows of a document, without the documents inside it. */
  read(id: string): Promise<TreeRows> {
    return this.db.readAll(this.selectTree(id, false));
  }

  /** Reads a document, without those inside it, and removes it. Gives its rows as they were. */
  async remove(id: string): Promise<{ isRemoved: boolean; rows: TreeRows }> {
    const tree = this.selectTree(id, false);
    const written = await this.db.batch([...tree, ...removeDocuments(this.workspaceId, sql`id = ${id}`)]);
    return {
      isRemoved: written.at(-1)?.rows.length === 1,
      rows: written.slice(0, tree.length).map(({ rows }) => rows),
    };
  }

  /** With `isWhole` the document is read with the documents inside it. */
  private selectTree(id: string, isWhole: boolean): SQL[] {
    return selectDocumentTrees(this.workspaceId, sql`select value as id from ${each([id])}`, isWhole);
  }

  /** Writes references of a row that was just written: it has its new time. */
  private insertReferences({ id, updated }: BlockDocumentRow, references: readonly Reference[]): SQL {
    return sql`insert into ${block_document_reference}
      (workspace_id, parent_block_document_id, name, reference_block_document_id)
      select ${this.workspaceId}, ${id}, value ->> '$.name', value ->> '$.id' from ${each(references)}
      where exists (select 1 from ${block_document}
        where workspace_id = ${this.workspaceId} and id = ${id} and updated = ${updated})
      on conflict do nothing`;
  }

  /** Whether all referenced documents exist. */
  private areThere(references: readonly Reference[]): SQL {
    const ids = [...new Set(references.map(({ id }) => id))];
    return sql`(select count(*) from ${block_document}
      where workspace_id = ${this.workspaceId} and id in ${list(ids)}) = ${ids.length}`;
  }

  /** Whether a document is among the referenced documents or inside them. */
  private leadsTo(id: string, references: readonly Reference[]): SQL {
    return sql`exists (with recursive below(id) as (select value ->> '$.id' from ${each(references)} union
      select e.reference_block_document_id from below cross join ${block_document_reference} e
      where e.workspace_id = ${this.workspaceId} and e.parent_block_document_id = below.id)
      select 1 from below where id = ${id})`;
  }

  private selectInside(references: readonly Reference[]): SQL {
    const ids = [...new Set(references.map(({ id }) => id))];
    return sql`with recursive below(id, level) as (select value ->> '$.id', 1 from ${each(references)} union all
        select e.reference_block_document_id, level + 1 from below cross join ${block_document_reference} e
        where e.workspace_id = ${this.workspaceId} and e.parent_block_document_id = below.id and level <= ${MAX_DEPTH}
        limit ${MAX_NESTED + 1})
      select coalesce(max(level), 0) as depth, count(*) as count,
        (select coalesce(sum(${documentBytes(this.workspaceId)}), 0) from below cross join ${block_document} x
          where x.workspace_id = ${this.workspaceId} and x.id = below.id) as bytes,
        (select count(*) from ${block_document} where workspace_id = ${this.workspaceId} and id in ${list(ids)}) = ${ids.length} as found
      from below`;
  }
}

const treeOf = (written: readonly Written[], from: number): TreeRows => written.slice(from).map(({ rows }) => rows);

/** Block types in D1, of one workspace. */
import { type SQL, sql } from "drizzle-orm";
import { rowsInFull, shortenedColumns } from "#db/long-values";
import { type BlockTypeRow, removeDocuments, removeSchemas } from "#db/rows/blocks";
import { insertRows, list } from "#db/sql";
import { block_type } from "#db/tables/block";
import { WorkspaceStore } from "#db/workspace-store";
import type { Portions } from "#lib/portions";

/** The key of a block type. */
export type TypeKey = { id: string } | { slug: string };

/** The block types of one workspace. */
export class BlockTypeStore extends WorkspaceStore {
  /** One type, or undefined. */
  async read(key: TypeKey): Promise<BlockTypeRow | undefined> {
    const [row] = await this.db.rows<BlockTypeRow>(sql`select * from ${block_type} where ${this.by(key)}`);
    return row;
  }

  /** Writes a new type. Gives false if its slug is taken. */
  async insert(row: BlockTypeRow): Promise<boolean> {
    const written = await this.db.repeatable([
      insertRows(block_type, [row], { tail: sql`on conflict do nothing` }),
      sql`select id from ${block_type} where ${this.by(row)}`,
    ]);
    return written[1]?.rows.length === 1;
  }

  /** Changes a type. Gives the changed row, or undefined if there is none. */
  change(id: string, changes: Partial<BlockTypeRow>): Promise<BlockTypeRow | undefined> {
    return this.db.returned(this.db.build.update(block_type).set(changes).where(this.by({ id })).returning());
  }

  /** A page of types in the order of their names. */
  async list(where: SQL, limit: number, offset: number): Promise<Portions<BlockTypeRow>> {
    const rows = await this.db.rows<BlockTypeRow>(sql`select ${shortenedColumns(block_type)} from ${block_type}
      where ${where} order by ${block_type.name}, ${block_type.id} limit ${limit} offset ${offset}`);
    return rowsInFull(
      this.db,
      block_type,
      rows,
      (ids) => sql`workspace_id = ${this.workspaceId} and id in ${list(ids)}`,
    );
  }

  /** Removes a type with its schemas and documents. Gives false if there is no such type, or if it is protected. */
  async remove(id: string): Promise<boolean> {
    const isRemovable = sql`${id} in (select id from ${block_type} where ${this.by({ id })} and is_protected = 0)`;
    const written = await this.db.batch([
      ...removeSchemas(this.workspaceId, sql`block_type_id = ${id} and ${isRemovable}`),
      // Documents of this type may have a schema of another type.
      ...removeDocuments(this.workspaceId, sql`block_type_id = ${id} and ${isRemovable}`),
      sql`delete from ${block_type} where ${this.by({ id })} and is_protected = 0 returning id`,
    ]);
    return written.at(-1)?.rows.length === 1;
  }

  private by(key: TypeKey): SQL {
    const named = "id" in key ? sql`${block_type.id} = ${key.id}` : sql`${block_type.slug} = ${key.slug}`;
    return sql`${block_type.workspace_id} = ${this.workspaceId} and ${named}`;
  }
}

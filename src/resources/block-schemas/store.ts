/** Block schemas in D1, of one workspace. */
import { type SQL, sql } from "drizzle-orm";
import { selectSchemaSizes, selectSchemaTrees, selectTypesOfSchemas, treeBytes, typeBytes } from "#db/block-trees";
import { readBySize } from "#db/long-values";
import { type BlockSchemaRow, type BlockTypeRow, removeSchemas } from "#db/rows/blocks";
import { asList, each, insertRows, list } from "#db/sql";
import { block_schema, block_schema_reference, block_type } from "#db/tables/block";
import { WorkspaceStore } from "#db/workspace-store";
import { refused } from "#lib/api-error";
import type { Portions } from "#lib/portions";
import { schemaShower, type SchemaEdge } from "#resources/block-schemas/full-schemas";

/** How many capabilities an answer has. */
const MAX_CAPABILITIES = 10_000;

/** The key of a schema. Without a version, the newest schema with the checksum is meant. */
export type SchemaKey = { id: string } | { checksum: string; version?: string | null | undefined };

/** A schema that a new schema refers to: by its checksum and, for a new one, by its version. */
export interface NewEdge {
  parent: { checksum: string; version: string };
  name: string;
  child: { id: string } | { checksum: string; version: string };
}

/** How many schemas there are with all that they refer to, how many bytes their fields have, and how many references they have. */
export type SchemaSizes = Record<"schemas" | "bytes" | "references", number>;

type Shown = NonNullable<ReturnType<ReturnType<typeof schemaShower>>>;

/** The block schemas of one workspace. */
export class BlockSchemaStore extends WorkspaceStore {
  /** One schema as answers show it, or undefined. */
  async read(key: SchemaKey): Promise<Shown | undefined> {
    const [shown] = await this.readTrees(sql`select id from ${this.idOf(key)}`);
    return shown;
  }

  /** A page of schemas, the newest first. */
  async list(where: SQL, limit: number, offset: number): Promise<Portions<Shown>> {
    const bytes = sql`${treeBytes(this.workspaceId, "schemas", sql`page.id`)}
      + ${typeBytes(this.workspaceId, sql`page.block_type_id`)}`;
    const sizes = await this.db.rows<{ id: string; bytes: number }>(sql`
      with page as materialized (select id, created, block_type_id from ${block_schema} where ${where}
        order by created desc, id desc limit ${limit} offset ${offset})
      select id, ${bytes} as bytes from page order by created desc, id desc`);
    return readBySize(sizes, (ids) => this.readTrees(sql`select value as id from ${each(ids)}`));
  }

  /** The ids and the slugs of types, the schemas with these checksums, the newest first, and how much is in these schemas. */
  async related(typeId: string, slugs: readonly string[], checksums: readonly string[]) {
    const ofWorkspace = sql`workspace_id = ${this.workspaceId}`;
    const withChecksums = sql`from ${block_schema} where ${ofWorkspace} and checksum in ${list(checksums)}`;
    const [own = [], types = [], schemas = [], sizes = []] = await this.db.readAll([
      sql`select id from ${block_type} where ${ofWorkspace} and id = ${typeId}`,
      sql`select id, slug, name from ${block_type} where ${ofWorkspace} and slug in ${list(slugs)}`,
      sql`select id, checksum, version ${withChecksums} order by created desc, id desc`,
      selectSchemaSizes(this.workspaceId, sql`select id ${withChecksums}`),
    ]);
    return {
      hasType: own.length === 1,
      types: types as { id: string; slug: string; name: string }[],
      schemas: schemas as { id: string; checksum: string; version: string }[],
      inside: sizes[0] as unknown as SchemaSizes,
    };
  }

  /** Writes schemas that do not exist yet, and their references. A schema whose type was deleted meanwhile is not written. */
  async insert(rows: readonly BlockSchemaRow[], edges: readonly NewEdge[]): Promise<void> {
    const hasType = sql`exists (select 1 from ${block_type} t
      where t.workspace_id = ${this.workspaceId} and t.id = value ->> '$.block_type_id')`;
    await this.db.repeatable([
      ...rows.map((row) => insertRows(block_schema, [row], { guard: hasType, tail: sql`on conflict do nothing` })),
      ...edges.map((edge) => this.insertEdge(edge)),
    ]);
  }

  /** Removes a schema with its documents. `forbidden` if its type is protected. */
  async remove(id: string): Promise<"removed" | "missing" | "forbidden"> {
    const isProtected = sql`exists (select 1 from ${block_type} t
      where t.workspace_id = ${this.workspaceId} and t.id = block_schema.block_type_id and t.is_protected = 1)`;
    const [found = [], ...written] = (
      await this.db.batch([
        sql`select ${isProtected} as protected from ${block_schema} where workspace_id = ${this.workspaceId} and id = ${id}`,
        ...removeSchemas(this.workspaceId, sql`id = ${id} and not ${isProtected}`),
      ])
    ).map(({ rows }) => rows);
    if (found[0]?.["protected"] === 1) return "forbidden";
    return written.at(-1)?.length === 1 ? "removed" : "missing";
  }

  /** The capabilities that schemas have, sorted. */
  async capabilities(): Promise<string[]> {
    const rows = await this.db.rows<{ value: string }>(
      sql`select distinct one.value from ${block_schema} cross join json_each(${asList(block_schema.capabilities)}) one
        where workspace_id = ${this.workspaceId} order by one.value limit ${MAX_CAPABILITIES}`,
    );
    return rows.map(({ value }) => value);
  }

  private insertEdge({ parent, name, child }: NewEdge): SQL {
    const idOf = (key: NewEdge["child"]) => this.idOf(key);
    return sql`insert into ${block_schema_reference} (workspace_id, parent_block_schema_id, name, reference_block_schema_id)
      select ${this.workspaceId}, p.id, ${name}, c.id from ${block_schema} p, ${block_schema} c
      where p.workspace_id = ${this.workspaceId} and p.id in ${idOf(parent)}
        and c.workspace_id = ${this.workspaceId} and c.id in ${idOf(child)}
      on conflict do nothing`;
  }

  /** The subselect of a schema's id. */
  private idOf(key: SchemaKey): SQL {
    const ofWorkspace = sql`${block_schema.workspace_id} = ${this.workspaceId}`;
    if ("id" in key) return sql`(select id from ${block_schema} where ${ofWorkspace} and id = ${key.id})`;
    const { checksum, version } = key;
    const ofVersion = typeof version === "string" ? sql`and version = ${version}` : sql``;
    return sql`(select id from ${block_schema} where ${ofWorkspace} and checksum = ${checksum} ${ofVersion}
      order by created desc, id desc limit 1)`;
  }

  /** Reads schemas with all that they refer to. `roots` selects their ids. */
  private async readTrees(roots: SQL): Promise<Shown[]> {
    const [asked = [], schemas = [], edges = [], types = []] = await this.db.readAll([
      roots,
      ...selectSchemaTrees(this.workspaceId, roots),
      selectTypesOfSchemas(this.workspaceId, roots),
    ]);
    const rows = schemas as unknown as BlockSchemaRow[];
    checkSchemas(rows);
    const show = schemaShower({
      schemas: rows,
      edges: edges as unknown as SchemaEdge[],
      types: types as unknown as BlockTypeRow[],
    });
    return asked.flatMap(({ id }) => show(String(id)) ?? []);
  }
}

/** Refuses schemas that are too large to be shown together. */
export function checkSchemas(rows: readonly { fields: string | null }[]): void {
  if (rows.some(({ fields }) => fields === null))
    throw refused(413, "The block schema and the schemas that it refers to are too large to be read together.");
}

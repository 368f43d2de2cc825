/**
 * The block types of the system: Secret, Webhook and Local File System. They are protected: nobody deletes them. A
 * workspace gets them at its first request about blocks. Their texts are our own, but the checksums of their schemas are
 * those of the stock client, which knows a schema by its checksum only: so a client that saves such a block finds the
 * schema and adds no second one. `test/resources/system-blocks.json` has what the client computes. A client of another
 * version may add its own schema.
 */
import { sql } from "drizzle-orm";
import { blockSchemas, blockTypes } from "#db/rows/blocks";
import { insertRows } from "#db/sql";
import { block_schema, block_type } from "#db/tables/block";
import { newColumns } from "#db/workspace-store";
import { changeEvent } from "#events/change-event";
import { emitEvents } from "#events/emit";
import { escapeHtml } from "#resources/block-types/html";
import type { Fields } from "#resources/block-schemas/definitions";
import { definitionsWithoutBlocks } from "#resources/block-schemas/definitions";
import type { Tools } from "#tools";
import system from "./system-types.json";

/** The version of the system's schemas. */
const VERSION = "3.8.8";
/** How long an isolate remembers that a workspace has the types. */
const REMEMBERED_MS = 600_000;
const MAX_REMEMBERED = 1_000;

const installed = new Map<string, number>();

/** Installs the types unless this isolate knows that the workspace has them. */
export async function installOnce(tools: Tools): Promise<void> {
  const key = `${tools.dbName}/${tools.workspaceId}`;
  const now = Date.now();
  const at = installed.get(key);
  if (at !== undefined && now - at < REMEMBERED_MS) return;
  if (!(await hasAll(tools))) await install(tools, "keep");
  if (installed.size >= MAX_REMEMBERED) installed.clear();
  installed.set(key, now);
}

/** Installs the types. Present types get their texts and their protection back. */
export async function installSystemTypes(tools: Tools): Promise<void> {
  await install(tools, "restore");
}

const slugs = JSON.stringify(system.map(({ type }) => type.slug));

async function hasAll({ db, workspaceId }: Tools): Promise<boolean> {
  const [row] = await db.rows<{ count: number }>(sql`select count(*) as count from ${block_type}
    where workspace_id = ${workspaceId} and slug in (select value from json_each(${slugs})) and is_protected = 1`);
  return row?.count === system.length;
}

async function install(tools: Tools, present: "keep" | "restore"): Promise<void> {
  const types = system.map(({ type }) => {
    const texts = { description: escapeHtml(type.description), code_example: escapeHtml(type.code_example) };
    return blockTypes.blank({ ...newColumns(tools), ...type, ...texts, is_protected: true });
  });
  const schemas = system.map((one) => schemaOf(tools, one));
  const tail =
    present === "keep"
      ? sql`on conflict (workspace_id, slug) do update set is_protected = 1 where is_protected = 0`
      : sql`on conflict (workspace_id, slug) do update set is_protected = 1, name = excluded.name,
          description = excluded.description, code_example = excluded.code_example, updated = excluded.updated`;
  const written = await tools.db.repeatable([
    insertRows(block_type, types, { tail }),
    ...schemas.map(({ slug, row }) => insertSchema(tools.workspaceId, slug, row)),
    sql`select id from ${block_type} where workspace_id = ${tools.workspaceId}
      and id in (select value from json_each(${JSON.stringify(types.map(({ id }) => id))}))`,
  ]);
  const created = new Set(written.at(-1)?.rows.map(({ id }) => id));
  const events = types
    .filter(({ id }) => created.has(id))
    .map((row) => {
      const { id: _id, created: _created, updated: _updated, ...payload } = blockTypes.print(row);
      return changeEvent(tools, "block-type", "created", row, { payload });
    });
  if (events.length > 0) tools.background(emitEvents(tools, events));
}

type System = (typeof system)[number];

function schemaOf(tools: Tools, { type, checksum, fields, capabilities }: System) {
  const { block_schema_references: _references, definitions, ...own } = fields as Fields;
  const kept = definitionsWithoutBlocks(fields, (definitions ?? {}) as Fields);
  const stored = { ...own, ...(Object.keys(kept).length > 0 && { definitions: kept }) };
  const columns = { checksum, version: VERSION, capabilities, fields: stored };
  return { slug: type.slug, row: blockSchemas.blank({ ...newColumns(tools), ...columns, block_type_id: "" }) };
}

/** Inserts a schema of the type with this slug. The type may be older than the schema. */
function insertSchema(workspaceId: string, slug: string, row: typeof block_schema.$inferSelect) {
  return sql`insert into ${block_schema}
    (workspace_id, id, created, updated, checksum, version, block_type_id, capabilities, fields)
    select workspace_id, ${row.id}, ${row.created}, ${row.updated}, ${row.checksum}, ${row.version}, id,
      ${row.capabilities}, ${row.fields}
    from ${block_type} where workspace_id = ${workspaceId} and slug = ${slug}
    on conflict do nothing`;
}

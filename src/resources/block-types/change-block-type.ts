/** Creates, changes and deletes block types, and emits their events. */
import type * as z from "zod";
import { newColumns } from "#db/workspace-store";
import { type BlockTypeRow, blockTypes } from "#db/rows/blocks";
import { type Action, changeEvent } from "#events/change-event";
import { emitEvents } from "#events/emit";
import { conflict, notFound, refused } from "#lib/api-error";
import { escapeHtml, unescapeHtml } from "#resources/block-types/html";
import { type BlockTypeCreate, type BlockTypeUpdate, TEXTS } from "#resources/block-types/schema";
import { BlockTypeStore } from "#resources/block-types/store";
import type { Tools } from "#tools";

const store = (tools: Tools) => new BlockTypeStore(tools);
const escaped = (text: string | null) => (text === null ? null : escapeHtml(text));

/**
 * Creates a type. Throws 403 for a reserved name, and 409 if the slug is taken. `prefect transfer` creates each type by its
 * name and slug alone, and moves no block of a type that is refused. So such a creation gives the type of the system.
 */
export async function createBlockType(tools: Tools, body: z.output<typeof BlockTypeCreate>) {
  if (body.name.toLowerCase().startsWith("prefect"))
    throw refused(403, "Block type names beginning with 'Prefect' are reserved.");
  const texts = { description: escaped(body.description), code_example: escaped(body.code_example) };
  const row = blockTypes.blank({ ...body, ...newColumns(tools), ...texts });
  if (await store(tools).insert(row)) {
    announce(tools, "created", row);
    return { type: blockTypes.print(row), isNew: true };
  }
  const present = await store(tools).read({ slug: body.slug });
  const isOfSystem = present?.is_protected === 1 && present.name === body.name;
  if (!present || !isOfSystem || TEXTS.some((name) => body[name] !== null))
    throw conflict(`Block type with name "${body.name}" already exists`);
  return { type: blockTypes.print(present), isNew: false };
}

/** Changes the texts of a type. Prefect: a body that has all texts, and no new one, changes nothing. */
export async function updateBlockType(tools: Tools, id: string, body: z.output<typeof BlockTypeUpdate>): Promise<void> {
  const present = await store(tools).read({ id });
  if (!present) throw notFound("Block type");
  const isNew = TEXTS.some((name) => plain(body[name]) !== plain(present[name]));
  if (!isNew) return;
  const row = await store(tools).change(id, { updated: tools.clock(), ...blockTypes.changes(body) });
  if (!row) throw notFound("Block type");
  announce(tools, "updated", row);
}

const plain = (text: string | null | undefined) => (typeof text === "string" ? unescapeHtml(text) : text);

/** Deletes a type with its schemas and documents. Throws 403 for a protected type. */
export async function deleteBlockType(tools: Tools, id: string): Promise<void> {
  const present = await store(tools).read({ id });
  if (!present) throw notFound("Block type");
  if (present.is_protected === 1) throw refused(403, "protected block types cannot be deleted.");
  if (!(await store(tools).remove(id))) throw notFound("Block type");
  announce(tools, "deleted", present);
}

/** Emits the event of a change after the reply. */
function announce(tools: Tools, action: Action, row: BlockTypeRow): void {
  const { id: _id, created: _created, updated: _updated, ...payload } = blockTypes.print(row);
  tools.background(emitEvents(tools, [changeEvent(tools, "block-type", action, row, { payload })]));
}

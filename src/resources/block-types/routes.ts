/** The routes under /block_types. */
import * as z from "zod";
import { blockTypes } from "#db/rows/blocks";
import { blockSchemaFilter, blockTypeFilter } from "#filters/blocks";
import { whereClause } from "#filters/joins";
import { listRoutes } from "#http/list-routes";
import { Listing } from "#http/listing";
import { Reply, route } from "#http/route";
import { notFound } from "#lib/api-error";
import { mapPortions } from "#lib/portions";
import { DocumentReader, SecretsQuery } from "#resources/block-documents/read-documents";
import { installOnce, installSystemTypes } from "#resources/block-schemas/system-types";
import { createBlockType, deleteBlockType, updateBlockType } from "#resources/block-types/change-block-type";
import { BlockTypeCreate, BlockTypeUpdate } from "#resources/block-types/schema";
import { BlockTypeStore, type TypeKey } from "#resources/block-types/store";
import type { Tools } from "#tools";
import { BlockDocument, BlockType } from "#wire/blocks";
import { Limit, Offset } from "#wire/paging";

async function read(tools: Tools, key: TypeKey) {
  await installOnce(tools);
  const row = await new BlockTypeStore(tools).read(key);
  if (!row) throw notFound("Block type");
  return row;
}

export const blockTypeRoutes = [
  route(
    {
      method: "POST",
      path: "/block_types/",
      summary: "Create a block type.",
      body: BlockTypeCreate,
      status: 201,
      otherStatus: 200,
      response: BlockType,
      errors: [403, 409],
    },
    async ({ body, tools }) => {
      await installOnce(tools);
      const { type, isNew } = await createBlockType(tools, body);
      return new Reply(type, isNew ? 201 : 200);
    },
  ),
  route(
    { method: "GET", path: "/block_types/{id:uuid}", summary: "Read a block type.", response: BlockType },
    async ({ params, tools }) => blockTypes.print(await read(tools, { id: params.id })),
  ),
  route(
    {
      method: "GET",
      path: "/block_types/slug/{slug}",
      summary: "Read a block type by its slug.",
      response: BlockType,
    },
    async ({ params, tools }) => blockTypes.print(await read(tools, { slug: params.slug })),
  ),
  ...listRoutes({
    path: "/block_types",
    things: "block types",
    body: {
      limit: Limit,
      block_types: blockTypeFilter.field,
      block_schemas: blockSchemaFilter.field,
      offset: Offset,
    },
    item: BlockType,
    async list({ body, tools }, { limit, offset }) {
      await installOnce(tools);
      const { block_types, block_schemas } = body;
      const where = whereClause("block_types", { block_types, block_schemas }, tools.workspaceId);
      const rows = await new BlockTypeStore(tools).list(where, limit, offset);
      return mapPortions(rows, (some) => some.map(blockTypes.print));
    },
  }),
  route(
    {
      method: "PATCH",
      path: "/block_types/{id:uuid}",
      summary: "Change the texts of a block type.",
      body: BlockTypeUpdate,
      status: 204,
    },
    ({ params, body, tools }) => updateBlockType(tools, params.id, body),
  ),
  route(
    {
      method: "DELETE",
      path: "/block_types/{id:uuid}",
      summary: "Delete a block type with its schemas and documents.",
      status: 204,
      errors: [403],
    },
    ({ params, tools }) => deleteBlockType(tools, params.id),
  ),
  route(
    {
      method: "GET",
      path: "/block_types/slug/{slug}/block_documents",
      summary: "Read the named documents of a block type.",
      query: SecretsQuery,
      response: z.array(BlockDocument),
    },
    async ({ params, query, tools }) => {
      const { id } = await read(tools, { slug: params.slug });
      return new Listing(await new DocumentReader(tools, query).ofType(id));
    },
  ),
  route(
    {
      method: "GET",
      path: "/block_types/slug/{slug}/block_documents/name/{block_document_name}",
      summary: "Read a block document by its type and its name.",
      query: SecretsQuery,
      response: BlockDocument,
    },
    async ({ params, query, tools }) => {
      const found = await new DocumentReader(tools, query).byName(params.slug, params.block_document_name);
      if (!found) throw notFound("Block document");
      return found;
    },
  ),
  route(
    {
      method: "POST",
      path: "/block_types/install_system_block_types",
      summary: "Install the block types of the system, or restore them.",
      response: z.null(),
    },
    ({ tools }) => installSystemTypes(tools),
  ),
];

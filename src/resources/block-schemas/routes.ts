/** The routes under /block_schemas, and the list of all capabilities. */
import * as z from "zod";
import { blockSchemaFilter } from "#filters/blocks";
import { type Filters, whereClause } from "#filters/joins";
import { listRoutes } from "#http/list-routes";
import { Reply, route } from "#http/route";
import { notFound, refused } from "#lib/api-error";
import { createBlockSchema } from "#resources/block-schemas/create-block-schemas";
import { BlockSchemaCreate, VersionQuery } from "#resources/block-schemas/schema";
import { BlockSchemaStore, type SchemaKey } from "#resources/block-schemas/store";
import { installOnce } from "#resources/block-schemas/system-types";
import type { Tools } from "#tools";
import { BlockSchema } from "#wire/blocks";
import { Limit, Offset } from "#wire/paging";

/** The store, after the system's own types are there. */
async function storeOf(tools: Tools): Promise<BlockSchemaStore> {
  await installOnce(tools);
  return new BlockSchemaStore(tools);
}

async function read(tools: Tools, key: SchemaKey) {
  const schema = await (await storeOf(tools)).read(key);
  if (!schema) throw notFound("Block schema");
  return schema;
}

async function remove(tools: Tools, id: string): Promise<void> {
  const outcome = await (await storeOf(tools)).remove(id);
  if (outcome === "missing") throw notFound("Block schema");
  if (outcome === "forbidden") throw refused(403, "Block schemas for protected block types cannot be deleted.");
}

const where = (tools: Tools, { block_schemas }: Pick<Filters, "block_schemas">) =>
  whereClause("block_schemas", { block_schemas }, tools.workspaceId);

export const blockSchemaRoutes = [
  route(
    {
      method: "POST",
      path: "/block_schemas/",
      summary: "Create a block schema, or read the one with the same checksum and version.",
      body: BlockSchemaCreate,
      status: 201,
      otherStatus: 200,
      response: BlockSchema,
      errors: [404, 409],
    },
    async ({ body, tools }) => {
      await installOnce(tools);
      const { created, schema } = await createBlockSchema(tools, body);
      return new Reply(schema, created ? 201 : 200);
    },
  ),
  route(
    { method: "GET", path: "/block_schemas/{id:uuid}", summary: "Read a block schema.", response: BlockSchema },
    ({ params, tools }) => read(tools, { id: params.id }),
  ),
  route(
    {
      method: "GET",
      path: "/block_schemas/checksum/{checksum}",
      summary: "Read a block schema by its checksum.",
      query: VersionQuery,
      response: BlockSchema,
    },
    ({ params, query, tools }) => read(tools, { checksum: params.checksum, version: query.version }),
  ),
  route(
    {
      method: "DELETE",
      path: "/block_schemas/{id:uuid}",
      summary: "Delete a block schema with its documents.",
      status: 204,
      errors: [403],
    },
    ({ params, tools }) => remove(tools, params.id),
  ),
  ...listRoutes({
    path: "/block_schemas",
    things: "block schemas",
    body: { limit: Limit, block_schemas: blockSchemaFilter.field, offset: Offset },
    item: BlockSchema,
    list: async ({ body, tools }, { limit, offset }) => (await storeOf(tools)).list(where(tools, body), limit, offset),
  }),
  route(
    {
      method: "GET",
      path: "/block_capabilities/",
      summary: "Read the capabilities that block schemas have.",
      response: z.array(z.string()),
    },
    async ({ tools }) => (await storeOf(tools)).capabilities(),
  ),
];

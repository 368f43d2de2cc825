/** The routes under /block_documents. */
import { blockDocumentFilter, blockSchemaFilter, blockTypeFilter, namedDocuments } from "#filters/blocks";
import { type Filters, whereClause } from "#filters/joins";
import { BlockDocumentSort, orderOfDocuments } from "#filters/sorts";
import { listRoutes } from "#http/list-routes";
import { route } from "#http/route";
import { notFound } from "#lib/api-error";
import { DocumentReader, SecretsQuery } from "#resources/block-documents/read-documents";
import { BlockDocumentUpdate, CheckedBlockDocumentCreate } from "#resources/block-documents/schema";
import {
  createBlockDocument,
  deleteBlockDocument,
  updateBlockDocument,
} from "#resources/block-documents/write-document";
import type { Tools } from "#tools";
import { BlockDocument } from "#wire/blocks";
import { Limit, Offset } from "#wire/paging";
import { Bool } from "#wire/scalars";

type Asked = Pick<Filters, "block_documents" | "block_types" | "block_schemas">;

const where = (tools: Tools, { block_documents, block_types, block_schemas }: Asked) =>
  whereClause(
    "block_documents",
    { block_documents: block_documents ?? namedDocuments, block_types, block_schemas },
    tools.workspaceId,
  );

export const blockDocumentRoutes = [
  route(
    {
      method: "POST",
      path: "/block_documents/",
      summary: "Create a block document.",
      body: CheckedBlockDocumentCreate,
      status: 201,
      response: BlockDocument,
      errors: [400, 409],
    },
    ({ body, tools }) => createBlockDocument(tools, body),
  ),
  ...listRoutes({
    path: "/block_documents",
    things: "block documents",
    body: {
      limit: Limit,
      block_documents: blockDocumentFilter.field,
      block_types: blockTypeFilter.field,
      block_schemas: blockSchemaFilter.field,
      include_secrets: Bool.default(false),
      sort: BlockDocumentSort.default("NAME_ASC"),
      offset: Offset,
    },
    item: BlockDocument,
    list: ({ body, tools }, { limit, offset }) =>
      new DocumentReader(tools, body).list(where(tools, body), orderOfDocuments(body.sort), limit, offset),
    count: ({ body, tools }) => new DocumentReader(tools, { include_secrets: false }).count(where(tools, body)),
  }),
  route(
    {
      method: "GET",
      path: "/block_documents/{id:uuid}",
      summary: "Read a block document.",
      query: SecretsQuery,
      response: BlockDocument,
    },
    async ({ params, query, tools }) => {
      const found = await new DocumentReader(tools, query).byId(params.id);
      if (!found) throw notFound("Block document");
      return found;
    },
  ),
  route(
    {
      method: "DELETE",
      path: "/block_documents/{id:uuid}",
      summary: "Delete a block document.",
      status: 204,
    },
    ({ params, tools }) => deleteBlockDocument(tools, params.id),
  ),
  route(
    {
      method: "PATCH",
      path: "/block_documents/{id:uuid}",
      summary: "Change the data of a block document.",
      body: BlockDocumentUpdate,
      status: 204,
      errors: [400, 409],
    },
    ({ params, body, tools }) => updateBlockDocument(tools, params.id, body),
  ),
];

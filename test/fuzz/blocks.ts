/** Block types, schemas and documents of a world: nested schemas with secrets, and a chain of documents. */
import type { Kind } from "./world.ts";

/** Creates a row, adds its ids and names to the known rows, and gives the answer. */
export type Make = (
  path: string,
  body: unknown,
  kinds: Record<string, Kind>,
) => Promise<Partial<Record<string, string>>>;

/** How many documents are inside one another. */
const CHAIN = 8;
const TYPE = { id: "block_type", slug: "block_type_slug" } as const;
const SCHEMA = { id: "block_schema", checksum: "block_schema_checksum" } as const;
const DOCUMENT = { id: "block_document", name: "block_document_name" } as const;

/** Creates the blocks of a world, and gives the path of the type with which all of them are deleted. */
export async function buildBlocks(make: Make, name: string): Promise<string> {
  const type = await make("/block_types/", { name: `${name}-block`, slug: `${name}-block`, description: "<b>" }, TYPE);
  const inner = await make(
    "/block_schemas/",
    {
      block_type_id: type["id"],
      fields: { title: `${name}-inner`, type: "object", properties: { a: { type: "integer" } } },
      capabilities: ["write-path"],
    },
    SCHEMA,
  );
  const outer = await make(
    "/block_schemas/",
    {
      block_type_id: type["id"],
      fields: {
        title: `${name}-outer`,
        type: "object",
        secret_fields: ["password", "headers.*", "login.pin"],
        properties: { password: { type: "string" }, inner: { $ref: "#/definitions/inner" } },
        block_schema_references: {
          inner: { block_type_slug: type["slug"], block_schema_checksum: inner["checksum"] },
        },
      },
      capabilities: ["write-path", "read-path"],
    },
    SCHEMA,
  );
  const ids = { block_type_id: type["id"], block_schema_id: outer["id"] };
  let last = await make(
    "/block_documents/",
    // Each type of a world has a document with this name, so that a request with any slug finds one.
    { ...ids, name: "inner", block_schema_id: inner["id"], data: { a: 1 } },
    DOCUMENT,
  );
  for (let level = 0; level < CHAIN; level += 1) {
    const data = { password: "hush", headers: { a: 1 }, inner: { $ref: { block_document_id: last["id"] } } };
    last = await make("/block_documents/", { ...ids, name: `${name}-${level}`, data }, { id: "block_document" });
  }
  await make(
    "/block_documents/",
    { ...ids, is_anonymous: true, data: { login: { pin: 1 } } },
    { id: "block_document" },
  );
  return `/block_types/${type["id"]}`;
}

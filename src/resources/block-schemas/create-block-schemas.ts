/** Creates a block schema, and the schemas of the blocks inside it that do not exist yet. */
import type * as z from "zod";
import { newColumns } from "#db/workspace-store";
import { blockSchemas } from "#db/rows/blocks";
import { conflict, notFound, refused } from "#lib/api-error";
import { isObject } from "#lib/json-value";
import { checksumOf } from "#resources/block-schemas/checksum";
import type { Fields } from "#resources/block-schemas/definitions";
import {
  allReferences,
  definitionsIn,
  newSchemas,
  type Present,
  withDefinitions,
} from "#resources/block-schemas/new-schemas";
import type { BlockSchemaCreate } from "#resources/block-schemas/schema";
import { BlockSchemaStore } from "#resources/block-schemas/store";
import type { Tools } from "#tools";
import { NO_VERSION } from "#wire/blocks";

/** How many definitions of blocks a schema may have. Each is hashed with all definitions. */
const MAX_BLOCKS = 100;

/** Creates the schema unless there is one with its checksum and version. Gives the schema that there is then. */
export async function createBlockSchema(tools: Tools, body: z.output<typeof BlockSchemaCreate>) {
  const store = new BlockSchemaStore(tools);
  const { fields, block_type_id, version, capabilities } = body;
  const checksum = await checksumOf(fields);
  const references = allReferences(fields);
  const checksums = await checksumsOf(fields);
  const { hasType, types, schemas } = await store.related(
    block_type_id,
    references.map(({ slug }) => slug),
    [checksum, ...references.map((one) => one.checksum), ...checksums.values()],
  );
  if (!hasType) throw refused(404, `Block type ${block_type_id} not found.`);
  const isThere = schemas.some((one) => one.checksum === checksum && one.version === version);
  if (isThere) return { created: false, schema: await readBack(store, checksum, version) };
  const made = newSchemas({ checksum, version, block_type_id, fields }, checksums, presentOf(types, schemas));
  // A schema is never older than the schemas that it refers to.
  const rows = made.toReversed().map((schema) =>
    blockSchemas.blank({
      ...newColumns(tools),
      checksum: schema.checksum,
      version: schema.version,
      block_type_id: schema.block_type_id,
      fields: schema.fields,
      capabilities: schema.checksum === checksum ? capabilities : [],
    }),
  );
  const edges = made.flatMap(({ edges: own, ...parent }) => own.map((edge) => ({ ...edge, parent })));
  await store.insert(rows, edges);
  return { created: true, schema: asSent(await readBack(store, checksum, version), fields) };
}

async function readBack(store: BlockSchemaStore, checksum: string, version: string) {
  const schema = await store.read({ checksum, version });
  // The type or the schema was deleted meanwhile.
  if (!schema) throw notFound("Block schema");
  return schema;
}

/** Prefect: the answer to a creation has the references and the definitions as they were sent. */
function asSent(schema: Awaited<ReturnType<typeof readBack>>, sent: Fields): typeof schema {
  const { definitions: _read, ...fields } = schema.fields;
  const { definitions, block_schema_references = {} } = sent;
  return { ...schema, fields: { ...fields, block_schema_references, ...(isObject(definitions) && { definitions }) } };
}

/** The checksums of the definitions of blocks. */
async function checksumsOf(fields: Fields): Promise<Map<Fields, string>> {
  const definitions = definitionsIn(fields) ?? {};
  const blocks = Object.values(definitions)
    .filter(isObject)
    .filter((one) => "block_type_slug" in one);
  if (blocks.length > MAX_BLOCKS) throw conflict(`A block schema may have ${MAX_BLOCKS} definitions of blocks.`);
  const checksums = new Map<Fields, string>();
  for (const one of blocks) checksums.set(one, await checksumOf(withDefinitions(one, definitions)));
  return checksums;
}

function presentOf(
  types: readonly { id: string; slug: string; name: string }[],
  schemas: readonly { id: string; checksum: string; version: string }[],
): Present {
  return {
    types: new Map(types.map((type) => [type.slug, type])),
    // The newest schema comes first, so it is put last.
    schemas: new Map(schemas.toReversed().map((one) => [one.checksum, one.id])),
    unversioned: new Set(schemas.filter(({ version }) => version === NO_VERSION).map((one) => one.checksum)),
  };
}

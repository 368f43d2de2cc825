/** Creates a block schema, and the schemas of the blocks inside it that do not exist yet. */
import type * as z from "zod";
import { newColumns } from "#db/workspace-store";
import { blockSchemas } from "#db/rows/blocks";
import { conflict, notFound, refused, unprocessable } from "#lib/api-error";
import { byteLength } from "#lib/bytes";
import { isObject } from "#lib/json-value";
import { checksumOf, checksumsOfBlocks } from "#resources/block-schemas/checksum";
import type { Fields } from "#resources/block-schemas/definitions";
import { allReferences, definitionsIn, newSchemas, type Present } from "#resources/block-schemas/new-schemas";
import type { BlockSchemaCreate } from "#resources/block-schemas/schema";
import { BlockSchemaStore, type SchemaSizes } from "#resources/block-schemas/store";
import type { Tools } from "#tools";
import { NO_VERSION } from "#wire/blocks";

/** How many definitions of blocks a schema may have. Each is hashed. */
const MAX_BLOCKS = 100;
/** How many schemas, bytes and references a schema may have with all schemas that it refers to. A read returns them together. */
const MAX_INSIDE: SchemaSizes = { schemas: 1_000, bytes: 4_000_000, references: 5_000 };

/** Creates the schema unless there is one with its checksum and version. Gives the schema that there is then. */
export async function createBlockSchema(tools: Tools, body: z.output<typeof BlockSchemaCreate>) {
  const store = new BlockSchemaStore(tools);
  const { fields, block_type_id, version, capabilities } = body;
  const checksum = await checksumOf(fields);
  const references = allReferences(fields);
  const checksums = await checksumsOf(fields);
  const { hasType, types, schemas, inside } = await store.related(
    block_type_id,
    references.map(({ slug }) => slug),
    [checksum, ...references.map((one) => one.checksum), ...checksums.values()],
  );
  if (!hasType) throw refused(404, `Block type ${block_type_id} not found.`);
  const isThere = schemas.some((one) => one.checksum === checksum && one.version === version);
  if (isThere) return { created: false, schema: await readBack(store, checksum, version) };
  const made = newSchemas({ checksum, version, block_type_id, fields }, checksums, presentOf(types, schemas));
  // A schema is never older than the schemas that it refers to.
  const sizes = { ...inside };
  const rows = made.toReversed().map((schema) => {
    const row = blockSchemas.blank({
      ...newColumns(tools),
      checksum: schema.checksum,
      version: schema.version,
      block_type_id: schema.block_type_id,
      fields: schema.fields,
      capabilities: schema.checksum === checksum ? capabilities : [],
    });
    addSizes(sizes, { schemas: 1, bytes: byteLength(row.fields), references: schema.edges.length });
    return row;
  });
  const edges = made.flatMap(({ edges: own, ...parent }) => own.map((edge) => ({ ...edge, parent })));
  await store.insert(rows, edges);
  return { created: true, schema: asSent(await readBack(store, checksum, version), fields) };
}

/** Adds the sizes of a new schema. Throws 422 beyond a bound, before more schemas are made. */
function addSizes(sizes: SchemaSizes, added: SchemaSizes): void {
  for (const what of ["schemas", "bytes", "references"] as const) {
    sizes[what] += added[what];
    if (sizes[what] > MAX_INSIDE[what])
      throw unprocessable(
        `A block schema may have ${MAX_INSIDE[what]} ${what} together with all schemas that it refers to.`,
      );
  }
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
async function checksumsOf(fields: Fields): Promise<ReadonlyMap<Fields, string>> {
  const definitions = definitionsIn(fields) ?? {};
  const blocks = Object.values(definitions)
    .filter(isObject)
    .filter((one) => "block_type_slug" in one);
  if (blocks.length > MAX_BLOCKS) throw conflict(`A block schema may have ${MAX_BLOCKS} definitions of blocks.`);
  return checksumsOfBlocks(blocks, definitions);
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

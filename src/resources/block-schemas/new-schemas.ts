/** The schemas that a request to create a block schema creates: the schema itself, and schemas of blocks inside it. Pure. */
import { conflict, unprocessable } from "#lib/api-error";
import { isObject } from "#lib/json-value";
import {
  definitionOf,
  definitionsWithoutBlocks,
  type Fields,
  namesOfDefinitions,
} from "#resources/block-schemas/definitions";
import { NO_VERSION } from "#wire/blocks";

/** A reference as a request has it: a field of the schema takes blocks of this type and schema. */
interface Reference {
  name: string;
  slug: string;
  checksum: string;
}

/** A schema that is new, with the ids or the keys of the schemas that it refers to. */
export interface NewSchema {
  checksum: string;
  version: string;
  block_type_id: string;
  fields: Fields;
  edges: { name: string; child: { id: string } | { checksum: string; version: string } }[];
}

/** The types and the schemas that exist. */
export interface Present {
  types: ReadonlyMap<string, { id: string; name: string }>;
  /** The id of the newest schema of a checksum. */
  schemas: ReadonlyMap<string, string>;
  /** The checksums of the schemas that have no version. */
  unversioned: ReadonlySet<string>;
}

/** How many references a request may have in all its definitions. */
const MAX_REFERENCES = 1_000;

/** The references of a schema or of a definition. */
export function referencesOf(fields: Fields): Reference[] {
  const references = fields["block_schema_references"];
  if (!isObject(references)) return [];
  return Object.entries(references).flatMap(([name, value]) =>
    [value].flat().map((one) => {
      const [slug, checksum] = isObject(one) ? [one["block_type_slug"], one["block_schema_checksum"]] : [];
      if (typeof slug === "string" && typeof checksum === "string") return { name, slug, checksum };
      throw unprocessable(`The reference of the field '${name}' needs a block_type_slug and a block_schema_checksum.`);
    }),
  );
}

/** The definitions of the fields of a request. */
export const definitionsIn = (fields: Fields): Fields | undefined =>
  isObject(fields["definitions"]) ? fields["definitions"] : undefined;

/** All references of a request: of the schema and of its definitions. Throws 422 if they are too many. */
export function allReferences(fields: Fields): Reference[] {
  const definitions = Object.values(definitionsIn(fields) ?? {}).filter(isObject);
  const all = [fields, ...definitions].flatMap(referencesOf);
  if (all.length > MAX_REFERENCES) throw unprocessable(`A block schema may have ${MAX_REFERENCES} references.`);
  return all;
}

/**
 * The new schemas, the outer one first. `checksums` has the checksum of each definition. Throws 409 if a type is
 * missing, and 422 if the definition of an unknown schema is missing.
 */
export function newSchemas(
  outer: Omit<NewSchema, "edges">,
  checksums: ReadonlyMap<Fields, string>,
  present: Present,
): NewSchema[] {
  const definitions = definitionsIn(outer.fields);
  // Prefect: the schema of a definition has all definitions that the outer schema has, and these name all that it refers to.
  const keptInside = definitions ? definitionsWithoutBlocks(definitions, definitions) : {};
  const definitionFor = definitionFinder(definitions ?? {});
  const made = new Map<string, NewSchema>();

  function add(schema: Omit<NewSchema, "edges">, kept: Fields): void {
    const { block_schema_references: _references, definitions: _definitions, ...own } = schema.fields;
    const fields = { ...own, ...(Object.keys(kept).length > 0 && { definitions: kept }) };
    const stored: NewSchema = { ...schema, fields, edges: [] };
    made.set(keyOf(schema), stored);
    for (const reference of referencesOf(schema.fields)) stored.edges.push(edgeTo(reference, schema.fields));
  }

  function edgeTo({ name, slug, checksum }: Reference, base: Fields): NewSchema["edges"][number] {
    const type = present.types.get(slug);
    // Prefect: there is no space after the first sentence.
    if (!type)
      throw conflict(
        `Cannot create block schema because block type '${slug}' was not found.Did you forget to register the block type?`,
      );
    const id = present.schemas.get(checksum);
    if (id !== undefined) return { name, child: { id } };
    const definition = definitionFor(base, name, slug);
    const own = definition && checksums.get(definition);
    if (!definition || own === undefined)
      throw unprocessable(`The block schema of type '${type.name}' is unknown, and its definition is missing.`);
    const child = { checksum: own, version: NO_VERSION };
    if (!present.unversioned.has(own) && !made.has(keyOf(child)))
      add({ ...child, block_type_id: type.id, fields: definition }, keptInside);
    return { name, child };
  }

  add(outer, definitions ? definitionsWithoutBlocks(outer.fields, definitions) : {});
  return [...made.values()];
}

const keyOf = ({ checksum, version }: { checksum: string; version: string }) => `${checksum} ${version}`;

/** Returns a function that finds the definition of the block of a field. Of several, the one of the type is meant. Each field is read once. */
function definitionFinder(definitions: Fields) {
  const known = new Map<unknown, Fields[]>();
  return (base: Fields, field: string, slug: string): Fields | undefined => {
    const properties = isObject(base["properties"]) ? base["properties"] : {};
    const property = properties[field];
    const found = known.get(property) ?? namedIn(property, definitions);
    known.set(property, found);
    return found.length === 1 ? found[0] : found.find((one) => one["block_type_slug"] === slug);
  };
}

/** The definitions that a property refers to. */
function namedIn(property: unknown, definitions: Fields): Fields[] {
  return namesOfDefinitions(property)
    .map((name) => definitionOf(definitions, name))
    .filter((one) => one !== undefined);
}

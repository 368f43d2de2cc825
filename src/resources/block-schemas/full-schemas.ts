/** Shows block schemas with the references that their rows do not have. Pure. */
import { type BlockSchemaRow, blockSchemas, type BlockTypeRow, blockTypes } from "#db/rows/blocks";
import { isObject } from "#lib/json-value";
import type { Fields } from "#resources/block-schemas/definitions";

/** A row of the table `block_schema_reference`. */
export interface SchemaEdge {
  parent_block_schema_id: string;
  name: string;
  reference_block_schema_id: string;
}

/** Schemas with all that they refer to, at any depth. */
export interface SchemaRows {
  schemas: readonly BlockSchemaRow[];
  edges: readonly SchemaEdge[];
  types: readonly BlockTypeRow[];
}

/** A schema in an answer. */
type Shown = ReturnType<typeof blockSchemas.print> & { block_type: ReturnType<typeof blockTypes.print> | null };

interface Reference {
  block_schema_checksum: string;
  block_type_slug: string;
}

/** Returns a function that shows one of the schemas by its id, or null. */
export function schemaShower({ schemas, edges, types }: SchemaRows): (id: string) => Shown | null {
  const rows = new Map(schemas.map((row) => [row.id, row]));
  const shownTypes = new Map(types.map((row) => [row.id, blockTypes.print(row)]));
  const children = Map.groupBy(inOrder(edges, rows), ({ parent_block_schema_id: id }) => id);
  const fieldsOf = new Map<string, Fields>();

  /** The fields of a schema with its references, and the definitions of all blocks below it. */
  function complete(row: BlockSchemaRow, above: ReadonlySet<string>): Fields {
    const known = fieldsOf.get(row.id);
    if (known) return known;
    const below = new Set([...above, row.id]);
    const own = children.get(row.id) ?? [];
    const references = new Map<string, Map<string, Reference>>();
    const definitions = new Map<string, unknown>();
    for (const { name, reference_block_schema_id: id } of own) {
      const child = rows.get(id);
      const type = child && shownTypes.get(child.block_type_id);
      if (!child || !type) continue;
      addReference(references, name, { block_schema_checksum: child.checksum, block_type_slug: type.slug });
      // A schema below itself would never end.
      if (!below.has(id)) addDefinitions(definitions, complete(child, below));
    }
    const stored: unknown = blockSchemas.print(row).fields;
    const { definitions: others, ...fields } = isObject(stored) ? stored : {};
    const all = { ...(isObject(others) && others), ...Object.fromEntries(definitions) };
    const whole: Fields = {
      ...fields,
      block_schema_references: Object.fromEntries(Array.from(references, ([name, all]) => [name, oneOrAll(all)])),
      ...(Object.keys(all).length > 0 && { definitions: all }),
    };
    fieldsOf.set(row.id, whole);
    return whole;
  }

  return (id) => {
    const row = rows.get(id);
    if (!row) return null;
    const fields = complete(row, new Set());
    return { ...blockSchemas.print(row), fields, block_type: shownTypes.get(row.block_type_id) ?? null };
  };
}

/** Prefect: the schemas of one field are in the order of their creation. */
function inOrder(edges: readonly SchemaEdge[], rows: ReadonlyMap<string, BlockSchemaRow>): SchemaEdge[] {
  const created = ({ reference_block_schema_id: id }: SchemaEdge) => rows.get(id)?.created ?? 0;
  return edges.toSorted((one, other) => created(one) - created(other));
}

function addReference(references: Map<string, Map<string, Reference>>, name: string, added: Reference): void {
  const present = references.get(name) ?? new Map<string, Reference>();
  const key = `${added.block_schema_checksum} ${added.block_type_slug}`;
  references.set(name, present.has(key) ? present : present.set(key, added));
}

/** A field with one schema has a reference, a field with several schemas a list. */
function oneOrAll(references: ReadonlyMap<string, Reference>): Reference | Reference[] {
  const [first, ...others] = references.values();
  return first && others.length === 0 ? first : [...references.values()];
}

/** The definitions are flat: those of the child are beside its own. */
function addDefinitions(definitions: Map<string, unknown>, { definitions: inner, ...child }: Fields): void {
  if (typeof child["title"] !== "string") return;
  definitions.set(child["title"], child);
  for (const [name, definition] of Object.entries(isObject(inner) ? inner : {})) definitions.set(name, definition);
}

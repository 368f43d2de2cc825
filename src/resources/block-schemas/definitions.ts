/** The references in the fields of a block schema. Pure. */
import { isObject } from "#lib/json-value";

/** The fields of a block schema, or one definition in them: a JSON Schema. */
export type Fields = Record<string, unknown>;

const PREFIX = "#/definitions/";

/** Adds the names of the definitions that a value refers to, at any depth. */
function collectNames(value: unknown, names: Set<string>): void {
  if (Array.isArray(value)) for (const item of value) collectNames(item, names);
  if (!isObject(value)) return;
  if (typeof value["$ref"] === "string" && value["$ref"] !== "") names.add(value["$ref"].replaceAll(PREFIX, ""));
  for (const item of Object.values(value)) collectNames(item, names);
}

/** The names of the definitions that a value refers to, at any depth, in their order. */
export function namesOfDefinitions(value: unknown): string[] {
  const names = new Set<string>();
  collectNames(value, names);
  return [...names];
}

/** A definition by its name. */
export function definitionOf(definitions: Fields, name: string): Fields | undefined {
  const found = Object.hasOwn(definitions, name) ? definitions[name] : undefined;
  return isObject(found) ? found : undefined;
}

/** Whether a definition is of a block. */
export const isBlock = (definition: Fields): boolean => (definition["block_type_slug"] ?? null) !== null;

/**
 * The definitions that fields refer to, directly or through one another, without those of blocks. Prefect: an empty
 * definition (`{}`) is left out.
 */
export function definitionsWithoutBlocks(fields: Fields, definitions: Fields): Fields {
  const found = new Map<string, Fields>();
  const waiting: Fields[] = [fields];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    for (const name of namesOfDefinitions(next)) {
      const definition = definitionOf(definitions, name);
      if (!definition || found.has(name) || Object.keys(definition).length === 0 || isBlock(definition)) continue;
      found.set(name, definition);
      waiting.push(definition);
    }
  }
  return Object.fromEntries(found);
}

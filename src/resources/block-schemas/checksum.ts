/** The checksum of a block schema, as Prefect's client computes it. */
import { isObject } from "#lib/json-value";
import { sortedPythonJson } from "#lib/python-json";
import { definitionsWithoutBlocks, type Fields } from "#resources/block-schemas/definitions";

/**
 * Prefect: `Block._calculate_schema_checksum`. The names of secret fields and the definitions of other blocks do not
 * count, so a block keeps its schema when a block inside it changes only its definition.
 */
export function checksumOf(fields: Fields): Promise<string> {
  return digestOf(sortedPythonJson(countedFields(fields)));
}

/**
 * The checksums of definitions of blocks, as schemas of their own. Prefect: each has all definitions that the outer
 * schema has. These are the same for all, so they are printed once.
 */
export async function checksumsOfBlocks(
  blocks: readonly Fields[],
  definitions: Fields,
): Promise<ReadonlyMap<Fields, string>> {
  // All that a block refers to is named in the definitions, because the block is one of them.
  const shared = countedFields({ definitions });
  const kept = shared["definitions"];
  const known = new Map([[kept, sortedPythonJson(kept)]]);
  const checksums = new Map<Fields, string>();
  for (const one of blocks) {
    const { definitions: _own, ...fields } = withoutSecretFields(one) as Fields;
    checksums.set(one, await digestOf(sortedPythonJson({ ...fields, ...shared }, known)));
  }
  return checksums;
}

async function digestOf(counted: string): Promise<string> {
  const bytes = new TextEncoder().encode(`[[${counted}], {}]`);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return `sha256:${Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

function countedFields(fields: Fields): Fields {
  const counted = withoutSecretFields(fields) as Fields;
  const { definitions, ...rest } = counted;
  if (!isObject(definitions) || Object.keys(definitions).length === 0) return counted;
  const kept = definitionsWithoutBlocks(counted, definitions);
  return Object.keys(kept).length === 0 ? rest : { ...rest, definitions: kept };
}

/** Prefect: `remove_nested_keys`, which does not look into lists. */
function withoutSecretFields(value: unknown): unknown {
  if (!isObject(value)) return value;
  const entries = Object.entries(value).filter(([key]) => key !== "secret_fields");
  return Object.fromEntries(entries.map(([key, inner]) => [key, withoutSecretFields(inner)]));
}

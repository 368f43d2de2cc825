/** The references to other documents in the data of a document. Pure. */
import { MAX_NESTED } from "#db/block-trees";
import { refused } from "#lib/api-error";
import { isObject } from "#lib/json-value";
import type { Data } from "#resources/block-documents/secrets";
import { Uuid } from "#wire/ids";

/** A field whose value is another document. */
export interface Reference {
  name: string;
  id: string;
}

/** How long the name of a field with a reference may be. It is a key of an index. */
const MAX_NAME_CHARACTERS = 2_000;

/** Parts the references from the other data. Prefect: only the outermost fields may be references. Throws 400 for a faulty one, and for too many. */
export function partReferences(data: Data): { own: Data; references: Reference[] } {
  const references: Reference[] = [];
  const own = Object.entries(data).filter(([name, value]) => {
    if (!isObject(value) || !Object.hasOwn(value, "$ref")) return true;
    if (name.length > MAX_NAME_CHARACTERS)
      throw refused(400, `The name of a field with a reference may have ${MAX_NAME_CHARACTERS} characters.`);
    if (references.length === MAX_NESTED)
      throw refused(400, `A block document may have ${MAX_NESTED} documents inside it.`);
    references.push({ name, id: idOf(name, value["$ref"]) });
    return false;
  });
  return { own: Object.fromEntries(own), references };
}

function idOf(name: string, reference: unknown): string {
  const id = isObject(reference) ? (reference["block_document_id"] ?? null) : null;
  if (id === null) throw refused(400, `Received block reference without a block_document_id in key ${name}`);
  const parsed = Uuid.safeParse(id);
  if (parsed.success) return parsed.data;
  throw refused(400, `The block_document_id in key ${name}: ${parsed.error.issues[0]?.message ?? "not a UUID"}`);
}

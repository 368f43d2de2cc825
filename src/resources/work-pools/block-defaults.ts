/** Job variables whose default is a block document: `{"$ref": {"block_document_id": …}}`. */
import { refused } from "#lib/api-error";
import { isObject } from "#lib/json-value";
import { DocumentReader } from "#resources/block-documents/read-documents";
import { namedBlock } from "#resources/work-pools/job-variables";
import type { Tools } from "#tools";
import { canonicalUuid, isUuid } from "#wire/ids";

type Template = Record<string, unknown>;

/**
 * The template with the data of documents in place of the defaults that name them. Secrets are masked. Throws 404 for
 * an unknown document. Nearly all templates name no document, and nothing is read.
 */
export async function withBlockDefaults(tools: Tools, template: Template): Promise<Template> {
  const schema = template["variables"];
  if (!isObject(schema) || !isObject(schema["properties"])) return template;
  const properties = Object.entries(schema["properties"]);
  const named = new Map(properties.flatMap(([name, attributes]) => blockOf(name, attributes)));
  if (named.size === 0) return template;
  const documents = await new DocumentReader(tools, { include_secrets: false }).byIds([...new Set(named.values())]);
  const data = new Map(documents.map((document) => [document.id, document.data]));
  const filled = properties.map(([name, attributes]) => {
    const id = named.get(name);
    if (id === undefined || !isObject(attributes)) return [name, attributes] as const;
    const value = data.get(id);
    if (!value) throw refused(404, "Block not found.");
    return [name, { ...attributes, default: value }] as const;
  });
  return { ...template, variables: { ...schema, properties: Object.fromEntries(filled) } };
}

function blockOf(name: string, attributes: unknown): [name: string, id: string][] {
  const id = isObject(attributes) ? namedBlock(attributes["default"]) : null;
  if (id === null) return [];
  if (typeof id !== "string" || !isUuid(id)) throw refused(404, "Block not found.");
  return [[name, canonicalUuid(id)]];
}

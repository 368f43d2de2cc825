/** Builders for block types, schemas and documents. */
import type { SecretFields } from "#resources/block-documents/secrets";
import { api, unique } from "../support/world";

export type Data = Record<string, unknown>;

export interface Shown {
  id: string;
  name: string;
  updated: string;
  data: Data;
  block_schema_id: string;
  block_type_id: string;
  block_document_references: Data;
  [field: string]: unknown;
}

/** A type, a schema of it, and a function that creates documents. */
export interface BlockWorld {
  slug: string;
  type: string;
  schema: string;
  make: (data: Data, fields?: Data) => Promise<Shown>;
}

/** Creates a type and a schema with these secret fields. */
export async function blockWorld(secret_fields: string[] = [], fields: Data = {}): Promise<BlockWorld> {
  const slug = unique("pump");
  const { body: type } = await api<{ id: string }>("POST", "/block_types/", { name: `Pump ${slug}`, slug });
  const body = { fields: { title: slug, type: "object", secret_fields, ...fields }, block_type_id: type.id };
  const { body: schema } = await api<{ id: string }>("POST", "/block_schemas/", body);
  const ids = { block_type_id: type.id, block_schema_id: schema.id };
  return {
    slug,
    type: type.id,
    schema: schema.id,
    make: async (data, fields = {}) => {
      const answer = await api<Shown>("POST", "/block_documents/", { name: unique("doc"), data, ...ids, ...fields });
      if (answer.status !== 201) throw new Error(`a document was refused: ${JSON.stringify(answer.body)}`);
      return answer.body;
    },
  };
}

/** The data of a document, with its secrets. */
export async function dataOf(id: string, include_secrets = true): Promise<Data> {
  return (await api<Shown>("GET", `/block_documents/${id}?include_secrets=${include_secrets}`)).body.data;
}

/** A reference to a document, as clients send it. */
export const refer = ({ id }: { id: string }) => ({ $ref: { block_document_id: id } });

/** The paths of secret fields. */
export function pathsOf({ inner, end }: SecretFields): (readonly string[])[] {
  return end ? [end.path] : [...inner.values()].flatMap(pathsOf);
}

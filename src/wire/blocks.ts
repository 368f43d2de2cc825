/** Block types, block schemas and block documents on the wire. */
import * as z from "zod";
import { EntityText, UuidText } from "#wire/ids";
import { namedObject } from "#wire/named";
import { JsonObject } from "#wire/scalars";

/** A text of lowercase letters, digits and dashes. `what` names the field in the refusal. */
export const dashedName = <S extends z.ZodType<string>>(schema: S, what: string) =>
  schema.refine((name) => /^[a-z0-9-]*$/.test(name), {
    message: `${what} must only contain lowercase letters, numbers, and dashes.`,
  });

/** The version of a schema that has none. Prefect: DEFAULT_BLOCK_SCHEMA_VERSION. */
export const NO_VERSION = "non-versioned";

export const BlockType = namedObject("BlockType", {
  ...EntityText,
  name: z.string(),
  slug: z.string(),
  logo_url: z.string().nullable(),
  documentation_url: z.string().nullable(),
  description: z.string().nullable(),
  code_example: z.string().nullable(),
  is_protected: z.boolean(),
});

export const BlockSchema = namedObject("BlockSchema", {
  ...EntityText,
  checksum: z.string(),
  fields: JsonObject,
  block_type_id: UuidText.nullable(),
  block_type: BlockType.nullable(),
  capabilities: z.array(z.string()),
  version: z.string(),
});

export const BlockDocument = namedObject("BlockDocument", {
  ...EntityText,
  name: z.string().nullable(),
  data: JsonObject,
  block_schema_id: UuidText,
  block_schema: BlockSchema.nullable(),
  block_type_id: UuidText,
  block_type_name: z.string().nullable(),
  block_type: BlockType.nullable(),
  block_document_references: z.record(z.string(), JsonObject),
  is_anonymous: z.boolean(),
});

/** How many characters a capability has. One answer has the capabilities of all schemas. */
const MAX_CAPABILITY_CHARACTERS = 200;

/** A schema's name for one thing that its blocks can do, such as `write-path`. */
export const Capability = z.string().max(MAX_CAPABILITY_CHARACTERS);

/** Block documents in requests. */
import { dashedName } from "#wire/blocks";
import { Uuid } from "#wire/ids";
import { namedStrictObject } from "#wire/named";
import { Bool, JsonObject } from "#wire/scalars";
import { Name } from "#wire/sizes";
import * as z from "zod";

/** Prefect: the name is checked before all other fields, so it is the only fault that is reported. */
const NAMELESS = "Names must be provided for block documents.";

/** A name with a banned character has only that fault. */
const BlockDocumentName = Name.superRefine((name, context) => {
  const dashed = dashedName(z.string(), "Block document name").safeParse(name);
  if (Name.safeParse(name).success && dashed.error) context.addIssue(dashed.error.issues[0]?.message ?? "");
});

export const BlockDocumentCreate = namedStrictObject("BlockDocumentCreate", {
  name: BlockDocumentName.nullable().default(null),
  data: JsonObject.default({}),
  block_schema_id: Uuid,
  block_type_id: Uuid,
  is_anonymous: Bool.default(false),
});

/** Whether a body lacks the name that it needs. */
export const lacksName = (body: unknown): boolean =>
  typeof body === "object" &&
  body !== null &&
  !Array.isArray(body) &&
  !(body as { is_anonymous?: unknown }).is_anonymous &&
  !(body as { name?: unknown }).name;

/** A body that is refused as a whole, for its first fault. */
export const CheckedBlockDocumentCreate = z.preprocess((body, context) => {
  if (!lacksName(body)) return body;
  context.addIssue({ code: "custom", message: NAMELESS, input: body });
  return z.NEVER;
}, BlockDocumentCreate);

export const BlockDocumentUpdate = namedStrictObject("BlockDocumentUpdate", {
  block_schema_id: Uuid.nullish(),
  data: JsonObject.optional(),
  merge_existing_data: Bool.default(true),
});

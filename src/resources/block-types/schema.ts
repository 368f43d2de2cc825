/** Block types in requests. */
import { dashedName } from "#wire/blocks";
import { namedStrictObject } from "#wire/named";
import { LongText, Name, ShortText } from "#wire/sizes";

const texts = {
  logo_url: LongText.nullable(),
  documentation_url: LongText.nullable(),
  description: LongText.nullable(),
  code_example: LongText.nullable(),
};

/** The fields of a type that a PATCH may change. */
export const TEXTS = Object.keys(texts) as (keyof typeof texts)[];

export const BlockTypeCreate = namedStrictObject("BlockTypeCreate", {
  name: Name,
  slug: dashedName(ShortText, "Block type slug"),
  logo_url: texts.logo_url.default(null),
  documentation_url: texts.documentation_url.default(null),
  description: texts.description.default(null),
  code_example: texts.code_example.default(null),
});

export const BlockTypeUpdate = namedStrictObject("BlockTypeUpdate", {
  logo_url: texts.logo_url.optional(),
  documentation_url: texts.documentation_url.optional(),
  description: texts.description.optional(),
  code_example: texts.code_example.optional(),
});

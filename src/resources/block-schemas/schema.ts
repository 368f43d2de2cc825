/** Block schemas in requests. */
import * as z from "zod";
import { Capability, NO_VERSION } from "#wire/blocks";
import { Uuid } from "#wire/ids";
import { namedStrictObject } from "#wire/named";
import { listOf, ShortText, SizedObject } from "#wire/sizes";

const MAX_CAPABILITIES = 100;

export const BlockSchemaCreate = namedStrictObject("BlockSchemaCreate", {
  fields: SizedObject.default({}),
  block_type_id: Uuid,
  capabilities: listOf(Capability, MAX_CAPABILITIES).default([]),
  version: ShortText.default(NO_VERSION),
});

/** The query of a read by checksum. Without a version, the newest schema with the checksum is read. */
export const VersionQuery = z.object({ version: z.string().nullish() });

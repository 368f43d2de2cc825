/** Saved searches on the wire. */
import { namedObject, namedStrictObject } from "#wire/named";
import * as z from "zod";
import { EntityText } from "#wire/ids";
import { listOf, ShortText } from "#wire/sizes";

/** How many filters a search may have. */
const MAX_FILTERS = 1_000;

const filter = {
  object: z.string(),
  property: z.string(),
  type: z.string(),
  operation: z.string(),
  value: z.unknown().refine((value) => value !== undefined, { message: "Field required" }),
};

export const SavedSearchCreate = namedStrictObject("SavedSearchCreate", {
  name: ShortText,
  filters: listOf(namedObject("SavedSearchFilter", filter), MAX_FILTERS).default([]),
});

export const SavedSearch = namedObject("SavedSearch", {
  ...EntityText,
  name: z.string(),
  filters: z.array(z.object(filter)),
});

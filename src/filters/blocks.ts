/** The filters of block types, block schemas and block documents. */
import * as z from "zod";
import { block_document, block_schema, block_type } from "#db/tables/block";
import { anyId, anyOf, combinable, contains, type Criterion, flagIs, group, hasAllTags } from "./clause";

export const blockTypeFilter = group("BlockTypeFilter", {
  name: group("BlockTypeFilterName", { like_: contains(block_type.name) }),
  slug: group("BlockTypeFilterSlug", { any_: anyOf(z.string(), block_type.slug) }),
});

export const blockSchemaFilter = combinable("BlockSchemaFilter", {
  block_type_id: group("BlockSchemaFilterBlockTypeId", { any_: anyId(block_schema.block_type_id) }),
  block_capabilities: group("BlockSchemaFilterCapabilities", { all_: hasAllTags(block_schema.capabilities) }),
  id: group("BlockSchemaFilterId", { any_: anyId(block_schema.id) }),
  version: group("BlockSchemaFilterVersion", { any_: anyOf(z.string(), block_schema.version) }),
});

const isAnonymous = group("BlockDocumentFilterIsAnonymous", { eq_: flagIs(block_document.is_anonymous) });

/** Prefect: without this field, or without the filter, there are no anonymous documents. With null there are all. */
const isAnonymousField = isAnonymous.schema.nullable().default({ eq_: false });
const namedByDefault: Criterion<typeof isAnonymousField> = { ...isAnonymous, field: isAnonymousField };

export const blockDocumentFilter = combinable("BlockDocumentFilter", {
  id: group("BlockDocumentFilterId", { any_: anyId(block_document.id) }),
  is_anonymous: namedByDefault,
  block_type_id: group("BlockDocumentFilterBlockTypeId", { any_: anyId(block_document.block_type_id) }),
  name: group("BlockDocumentFilterName", {
    any_: anyOf(z.string(), block_document.name),
    like_: contains(block_document.name),
  }),
});

/** The filter of a request without a filter of documents. */
export const namedDocuments = blockDocumentFilter.schema.parse({});

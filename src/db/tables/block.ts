/** Block types, the schemas of their fields, and block documents, with the references among schemas and among documents. */
import { index, primaryKey, sqliteTable, uniqueIndex } from "drizzle-orm/sqlite-core";
import { entity, flag, list, object, text, uuid, workspaceId } from "#db/columns";

export const block_type = sqliteTable(
  "block_type",
  {
    ...entity(),
    name: text().notNull(),
    slug: text().notNull(),
    is_protected: flag().notNull(),
    logo_url: text({ long: true }),
    documentation_url: text({ long: true }),
    description: text({ long: true }),
    code_example: text({ long: true }),
  },
  (t) => [
    primaryKey({ columns: [t.workspace_id, t.id] }),
    uniqueIndex("block_type_slug").on(t.workspace_id, t.slug),
    index("block_type_name").on(t.workspace_id, t.name),
  ],
);

export const block_schema = sqliteTable(
  "block_schema",
  {
    ...entity(),
    checksum: text().notNull(),
    version: text().notNull(),
    block_type_id: uuid().notNull(),
    capabilities: list<string>().notNull(),
    /** The fields without references to other block schemas: these are rows of `block_schema_reference`. */
    fields: object({ long: true }).notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.workspace_id, t.id] }),
    uniqueIndex("block_schema_checksum").on(t.workspace_id, t.checksum, t.version),
    index("block_schema_type").on(t.workspace_id, t.block_type_id, t.created),
    index("block_schema_created").on(t.workspace_id, t.created),
    index("block_schema_capabilities").on(t.workspace_id, t.capabilities),
  ],
);

/** A field of a schema that takes blocks of another schema. */
export const block_schema_reference = sqliteTable(
  "block_schema_reference",
  {
    workspace_id: workspaceId(),
    parent_block_schema_id: uuid().notNull(),
    name: text().notNull(),
    reference_block_schema_id: uuid().notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.workspace_id, t.parent_block_schema_id, t.name, t.reference_block_schema_id] }),
    index("block_schema_reference_child").on(t.workspace_id, t.reference_block_schema_id),
  ],
);

export const block_document = sqliteTable(
  "block_document",
  {
    ...entity(),
    name: text().notNull(),
    is_anonymous: flag().notNull(),
    block_type_id: uuid().notNull(),
    /** The name that the type had when the document was created. */
    block_type_name: text().notNull(),
    block_schema_id: uuid().notNull(),
    /** The data without references. The values of secret fields are masked, as answers show them. */
    data: object({ long: true }).notNull(),
    /** The values of the secret fields, sealed, each with its path in the data (`resources/block-documents/secrets.ts`). */
    secrets: list({ long: true }).notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.workspace_id, t.id] }),
    uniqueIndex("block_document_name").on(t.workspace_id, t.block_type_id, t.name),
    index("block_document_by_name").on(t.workspace_id, t.is_anonymous, t.name),
    index("block_document_by_type").on(t.workspace_id, t.is_anonymous, t.block_type_name, t.name),
    index("block_document_schema").on(t.workspace_id, t.block_schema_id),
  ],
);

/** A field of a document whose value is another document. */
export const block_document_reference = sqliteTable(
  "block_document_reference",
  {
    workspace_id: workspaceId(),
    parent_block_document_id: uuid().notNull(),
    name: text().notNull(),
    reference_block_document_id: uuid().notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.workspace_id, t.parent_block_document_id, t.name] }),
    index("block_document_reference_child").on(t.workspace_id, t.reference_block_document_id),
  ],
);

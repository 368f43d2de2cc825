/** Creates, changes and deletes block documents, and emits their events. */
import type * as z from "zod";
import { MAX_DEPTH, MAX_NESTED, MAX_TREE_BYTES } from "#db/block-trees";
import { readJson } from "#db/database";
import { type BlockDocumentRow, blockDocuments } from "#db/rows/blocks";
import { newColumns } from "#db/workspace-store";
import type { Action } from "#events/change-event";
import { emitEvents } from "#events/emit";
import { conflict, integrityConflict, notFound, refused, unavailable } from "#lib/api-error";
import { byteLength } from "#lib/bytes";
import { isObject } from "#lib/json-value";
import { documentEvent } from "#resources/block-documents/events";
import { type ShownDocument, tooLarge } from "#resources/block-documents/full-document";
import { DocumentReader, type TreeRows } from "#resources/block-documents/read-documents";
import { partReferences, type Reference } from "#resources/block-documents/references";
import type { BlockDocumentCreate, BlockDocumentUpdate } from "#resources/block-documents/schema";
import { openSecrets, sealSecrets } from "#resources/block-documents/sealed";
import { type Data, hideSecrets, revealSecrets } from "#resources/block-documents/secrets";
import { BlockDocumentStore, type Inside } from "#resources/block-documents/store";
import { forgetKeys } from "#secrets/data-keys";
import { unmask } from "#resources/block-documents/unmask";
import type { Tools } from "#tools";

/** How many bytes the data of a document may have with its secrets. A row of D1 has 2 MB. */
const MAX_BYTES = 1_900_000;
/** How many secret values a document may have. Each is encrypted on its own, in 150 bytes or more. */
const MAX_SECRETS = 10_000;
/** How many times a change is tried while other requests change the document. */
const MAX_TRIES = 5;

const WITHOUT_SECRETS = { include_secrets: false };

/** Creates a document. Throws 409 if its name is taken or if it names a row that does not exist. */
export async function createBlockDocument(
  tools: Tools,
  { data, name, ...body }: z.output<typeof BlockDocumentCreate>,
): Promise<ShownDocument> {
  const store = new BlockDocumentStore(tools);
  const named = { ...newColumns(tools), ...body, name: name ?? `anonymous-${tools.ids.random()}` };
  const { own, references } = partReferences(data);
  for (let tries = 1; tries <= MAX_TRIES; tries++) {
    const { type, schema, isTaken, inside } = await store.surroundings(named, references);
    if (isTaken) throw conflict("Block already exists");
    checkInside(inside);
    if (!type || !schema) throw integrityConflict();
    const row = blockDocuments.blank({ ...named, block_type_name: type.name });
    const { columns, keyId } = await columnsOf(tools, row, own, schema.fields);
    const whole = { ...row, ...columns };
    checkSize(whole, inside);
    const [shown] = await show(tools, row.id, await store.insert({ row: whole, keyId }, references));
    if (shown) {
      announce(tools, "created", shown);
      return shown;
    }
    // Another request has taken the name or removed a row, or the workspace has a newer key.
    forgetKeys(tools);
  }
  throw unavailable("The block document could not be created while other requests change what it names", 1);
}

/** Changes a document. Throws 404 for an unknown one, 400 for a schema of another type and for a reference back to itself. */
export async function updateBlockDocument(
  tools: Tools,
  id: string,
  body: z.output<typeof BlockDocumentUpdate>,
): Promise<void> {
  const store = new BlockDocumentStore(tools);
  for (let tries = 1; tries <= MAX_TRIES; tries++) {
    const rows = await tryUpdate(tools, store, id, body);
    if (!rows) {
      forgetKeys(tools);
      continue;
    }
    const [shown] = await show(tools, id, rows);
    if (shown) announce(tools, "updated", shown);
    return;
  }
  throw unavailable("The block document is changed by other requests", 1);
}

/** Changes a document once. Gives null if another request changed a row meanwhile, or if the workspace has a newer key. */
async function tryUpdate(
  tools: Tools,
  store: BlockDocumentStore,
  id: string,
  body: z.output<typeof BlockDocumentUpdate>,
): Promise<TreeRows | null> {
  const merges = body.merge_existing_data;
  // Prefect: without data nothing changes, not even the schema. Without merging, absent data are empty data.
  const data = body.data ?? (merges ? null : {});
  const { references } = partReferences(data ?? {});
  const schemaId = body.block_schema_id ?? null;
  const { row, fields, other, inside } = await store.readForUpdate(id, schemaId, references);
  if (!row) throw notFound("Block document");
  if (data === null) return store.read(id);
  const kept = revealSecrets(dataOf(row), await openSecrets(tools, row));
  const { own: given } = partReferences(unmask(data, kept, readJson(fields)));
  const own = merges ? { ...withoutKeys(kept, references), ...given } : given;
  const isMoved = schemaId !== null && schemaId !== row.block_schema_id;
  if (isMoved && !other) throw integrityConflict();
  if (isMoved && other?.block_type_id !== row.block_type_id)
    throw refused(400, "Must migrate block document to a block schema of the same block type.");
  checkInside(inside);
  const { columns, keyId } = await columnsOf(tools, row, own, isMoved ? (other?.fields ?? "{}") : fields);
  const after = {
    ...row,
    ...columns,
    ...(isMoved && { block_schema_id: schemaId }),
    updated: Math.max(row.updated + 1, tools.clock()),
  };
  checkSize(after, inside);
  const { outcome, rows } = await store.replace(row, { row: after, keyId }, references);
  if (outcome === "cycle") throw cycle(id, references);
  return outcome === "written" ? rows : null;
}

/** Deletes a document. Throws 404 for an unknown one. */
export async function deleteBlockDocument(tools: Tools, id: string): Promise<void> {
  const { isRemoved, rows } = await new BlockDocumentStore(tools).remove(id);
  if (!isRemoved) throw notFound("Block document");
  const [shown] = await show(tools, id, rows);
  if (shown) announce(tools, "deleted", shown);
}

function dataOf({ data }: BlockDocumentRow): Data {
  const stored = readJson<unknown>(data);
  return isObject(stored) ? stored : {};
}

function withoutKeys(data: Data, references: readonly Reference[]): Data {
  const names = new Set(references.map(({ name }) => name));
  return Object.fromEntries(Object.entries(data).filter(([key]) => !names.has(key)));
}

/** The columns of the data, and the key of the secrets. Throws 413 for data that a row cannot have. */
async function columnsOf(tools: Tools, row: { id: string }, data: Data, fields: string) {
  const { shown, secrets } = hideSecrets(data, readJson(fields));
  if (secrets.length > MAX_SECRETS)
    throw refused(413, `A block document may have ${MAX_SECRETS} secret values (got ${secrets.length}).`);
  const { secrets: sealed, keyId } = await sealSecrets(tools, row.id, secrets);
  const columns = { data: JSON.stringify(shown), secrets: sealed };
  const bytes = byteLength(columns.data) + byteLength(columns.secrets);
  if (bytes > MAX_BYTES)
    throw refused(413, `The data of a block document may have ${MAX_BYTES} bytes when it is stored (got ${bytes}).`);
  return { columns, keyId };
}

function checkInside({ found, depth, count }: Inside): void {
  if (depth > MAX_DEPTH || count > MAX_NESTED)
    throw refused(
      400,
      `A block document may have ${MAX_NESTED} documents inside it, ${MAX_DEPTH} deep (got ${count}, ${depth} deep).`,
    );
  if (found === 0) throw integrityConflict();
}

/** Throws 413 if a document would be too large to be read with the documents inside it. Nothing is written then. */
function checkSize({ id, data, secrets }: BlockDocumentRow, { bytes }: Inside): void {
  if (bytes > 0 && bytes + byteLength(data) + byteLength(secrets) > MAX_TREE_BYTES) throw tooLarge(id);
}

const cycle = (id: string, references: readonly Reference[]) =>
  refused(
    400,
    "Cannot create block document reference: it would introduce a cycle into the block_document_reference graph " +
      `(parent=${id}, reference=${references.map((one) => one.id).join(", ")}).`,
  );

/** The document for its event: without secrets. */
function show(tools: Tools, id: string, rows: TreeRows): Promise<ShownDocument[]> {
  return new DocumentReader(tools, WITHOUT_SECRETS).show([id], rows);
}

/** Emits the event of a change after the reply. Prefect: anonymous documents have no events. */
function announce(tools: Tools, action: Action, document: ShownDocument): void {
  if (document.is_anonymous) return;
  tools.background(emitEvents(tools, [documentEvent(tools, action, document)]));
}

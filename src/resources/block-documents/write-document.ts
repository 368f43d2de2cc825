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
import { type Data, hideSecrets, revealSecrets, unmask } from "#resources/block-documents/secrets";
import { BlockDocumentStore, type Inside } from "#resources/block-documents/store";
import type { Tools } from "#tools";

/** How many bytes the data of a document may have with its secrets. A row of D1 has 2 MB. */
const MAX_BYTES = 1_900_000;
/** How many bytes the smallest secret value has when it is stored: its path, the id of its key, and its encrypted value. */
const SEALED_BYTES = 100;
/** How many times a change is tried while other requests change the document. */
const MAX_TRIES = 5;

const WITHOUT_SECRETS = { include_secrets: false };

/** Creates a document. Throws 409 if its name is taken or if it names a row that does not exist. */
export async function createBlockDocument(
  tools: Tools,
  { data, name, ...body }: z.output<typeof BlockDocumentCreate>,
): Promise<ShownDocument> {
  const store = new BlockDocumentStore(tools);
  const named = { ...body, name: name ?? `anonymous-${tools.ids.random()}` };
  const { own, references } = partReferences(data);
  const { type, schema, isTaken, inside } = await store.surroundings(named, references);
  if (isTaken) throw conflict("Block already exists");
  checkInside(inside);
  if (!type || !schema) throw integrityConflict();
  const row = blockDocuments.blank({
    ...newColumns(tools),
    ...named,
    block_type_name: type.name,
  });
  const whole = { ...row, ...(await columnsOf(tools, row, own, schema.fields)) };
  checkSize(whole, inside);
  const [shown] = await show(tools, row.id, await store.insert(whole, references));
  if (!shown) throw await whyNotWritten(store, whole, references);
  announce(tools, "created", shown);
  return shown;
}

/** The refusal after another request has taken the name or removed a row. */
async function whyNotWritten(store: BlockDocumentStore, row: BlockDocumentRow, references: readonly Reference[]) {
  const { isTaken } = await store.surroundings(row, references);
  return isTaken ? conflict("Block already exists") : integrityConflict();
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
    if (!rows) continue;
    const [shown] = await show(tools, id, rows);
    if (shown) announce(tools, "updated", shown);
    return;
  }
  throw unavailable("The block document is changed by other requests", 1);
}

/** Changes a document once. Gives null if another request changed a row meanwhile. */
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
  const after = {
    ...row,
    ...(await columnsOf(tools, row, own, isMoved ? (other?.fields ?? "{}") : fields)),
    ...(isMoved && { block_schema_id: schemaId }),
    updated: Math.max(row.updated + 1, tools.clock()),
  };
  checkSize(after, inside);
  const { outcome, rows } = await store.replace(row, after, references);
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

/** The columns of the data. Throws 413 for data that a row cannot have. */
async function columnsOf(tools: Tools, row: { id: string }, data: Data, fields: string) {
  const { shown, secrets } = hideSecrets(data, readJson(fields));
  // Each secret is encrypted. Too many are refused before.
  checkBytes(secrets.length * SEALED_BYTES);
  const columns = { data: JSON.stringify(shown), secrets: await sealSecrets(tools, row.id, secrets) };
  checkBytes(byteLength(columns.data) + byteLength(columns.secrets));
  return columns;
}

function checkBytes(bytes: number): void {
  if (bytes > MAX_BYTES)
    throw refused(413, `The data of a block document may have ${MAX_BYTES} bytes when it is stored (got ${bytes}).`);
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

/** Shows block documents with the documents inside them. Pure. */
import { MAX_DEPTH, MAX_NESTED, MAX_TREE_BYTES } from "#db/block-trees";
import { type BlockDocumentRow, blockDocuments, type BlockTypeRow, blockTypes } from "#db/rows/blocks";
import { refused } from "#lib/api-error";
import type { Data } from "#resources/block-documents/secrets";
import type { schemaShower } from "#resources/block-schemas/full-schemas";

/** A row of the table `block_document_reference`. */
export interface DocumentEdge {
  parent_block_document_id: string;
  name: string;
  reference_block_document_id: string;
}

/** A document without its data, and the data as it is shown. */
export interface Opened {
  row: BlockDocumentRow;
  data: Data;
}

/** Documents with all that they refer to, at any depth. */
export interface DocumentRows {
  documents: readonly Opened[];
  edges: readonly DocumentEdge[];
  types: readonly BlockTypeRow[];
  showSchema: ReturnType<typeof schemaShower>;
}

type ShownType = ReturnType<typeof blockTypes.print>;

/** A document in an answer. */
export type ShownDocument = ReturnType<typeof blockDocuments.print> & {
  block_schema: ReturnType<ReturnType<typeof schemaShower>>;
  block_type: ShownType | null;
  block_document_references: Data;
};

/** What is left for a document and the documents inside it. */
interface Budget {
  documents: number;
  bytes: number;
}

/**
 * Returns a function that shows one of the documents by its id, or undefined. It throws 413 if there are too many
 * documents inside the document.
 */
export function documentShower({ documents, edges, types, showSchema }: DocumentRows) {
  const opened = new Map(documents.map((one) => [one.row.id, one]));
  const shownTypes = new Map(types.map((row) => [row.id, blockTypes.print(row)]));
  const children = Map.groupBy(edges, ({ parent_block_document_id: id }) => id);
  const typeLengths = new Map(Array.from(shownTypes, ([id, type]) => [id, JSON.stringify(type).length]));
  const typeOf = ({ block_type_id }: BlockDocumentRow) => shownTypes.get(block_type_id) ?? null;

  /** The answer has the type of each document inside the document. */
  const lengthOf = ({ data, secrets, name, block_type_id: type }: BlockDocumentRow) =>
    data.length + secrets.length + name.length + (typeLengths.get(type) ?? 0);

  /** The data with the data of the documents inside, and the description of these documents. */
  function fill({ row, data }: Opened, depth: number, budget: Budget): { data: Data; references: Data } {
    budget.bytes -= lengthOf(row);
    if (depth > MAX_DEPTH || budget.documents-- <= 0 || budget.bytes < 0) throw tooLarge(row.id);
    const inner = (children.get(row.id) ?? []).flatMap(({ name, reference_block_document_id: id }) => {
      const child = opened.get(id);
      return child ? [{ name, child: child.row, ...fill(child, depth + 1, budget) }] : [];
    });
    return {
      data: Object.fromEntries([...Object.entries(data), ...inner.map((one) => [one.name, one.data] as const)]),
      references: Object.fromEntries(inner.map(({ name, child, references }) => [name, describe(child, references)])),
    };
  }

  function describe(row: BlockDocumentRow, block_document_references: Data): Data {
    const { id, name, is_anonymous } = row;
    const block_type = typeOf(row);
    return { block_document: { id, name, block_type, is_anonymous: is_anonymous === 1, block_document_references } };
  }

  return (id: string): ShownDocument | undefined => {
    const root = opened.get(id);
    if (!root) return undefined;
    const { data, references } = fill(root, 0, { documents: MAX_NESTED + 1, bytes: MAX_TREE_BYTES });
    return {
      ...blockDocuments.print(root.row),
      data,
      block_schema: showSchema(root.row.block_schema_id),
      block_type: typeOf(root.row),
      block_document_references: references,
    };
  };
}

/** The refusal to show a document that has too much inside. */
export function tooLarge(id: string) {
  return refused(413, `The block document ${id} and the documents inside it are too many or too large to be shown.`);
}

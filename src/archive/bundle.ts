/**
 * Bundles: the objects of the archive. A bundle has many parts, one after the other, and then its index. The index is a
 * packed JSON array: a line about the bundle, and then for each part its header, its length and a digest of its bytes.
 * An index never changes. The digest of the index is in D1, so a damaged object is always noticed.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { z } from "zod";
import { pack, toBytes, unpack } from "#db/packed";
import { checkDepth, parseJson, STORED_JSON_DEPTH } from "#lib/json";

/** How many bytes the parts of a bundle have. A bundle is built in memory, where it takes twice its size for a moment. */
export const MAX_CONTENT_BYTES = 16_000_000;
/** The maximum size of an index, in bytes of JSON. To open one part, a reader reads the whole index. */
export const MAX_INDEX_BYTES = 1_000_000;

/** The form of new bundles. */
const FORM = 1;

const Lines = z.tuple(
  [z.object({ form: z.literal(FORM), id: z.string() })],
  z.tuple([z.unknown(), z.int().nonnegative(), z.string()]),
);

/** A part in the index of a bundle. */
export interface Entry {
  /** What the writer of the bundle has to say about the part. */
  readonly header: unknown;
  readonly offset: number;
  readonly length: number;
  readonly digest: string;
}

/** A bundle before it is written. */
export interface Bundle {
  readonly bytes: Uint8Array;
  readonly sha256: Uint8Array;
  readonly index_at: number;
  readonly index_digest: string;
}

/** What D1 keeps of a bundle, to open it. */
export interface BundleAddress {
  readonly key: string;
  /** The size of the object. */
  readonly bytes: number;
  /** The place of the index, which ends with the object. */
  readonly index_at: number;
  readonly index_digest: string;
}

/** Gathers parts for a bundle, as many as it has room for. */
export class BundleBuilder {
  private readonly parts: Uint8Array[] = [];
  private readonly lines: string[] = [];
  private contentBytes = 0;
  private indexBytes = 200;

  /** The number of parts. */
  get count(): number {
    return this.parts.length;
  }

  /**
   * Adds a part, and returns true, or returns false if the bundle is full. The header is any JSON. Throws a `RangeError`
   * for a part that no bundle has room for, and `TooDeep` for a header that could not be read again.
   */
  add(header: unknown, bytes: Uint8Array): boolean {
    const line = JSON.stringify([header, bytes.length, digestOf(bytes)]);
    const lineBytes = Buffer.byteLength(line) + 1;
    if (bytes.length > MAX_CONTENT_BYTES || lineBytes > MAX_INDEX_BYTES / 2)
      throw new RangeError(`no bundle has room for a part of ${bytes.length} bytes, with ${lineBytes} in the index`);
    checkDepth(line, STORED_JSON_DEPTH - 1);
    const isFull =
      this.contentBytes + bytes.length > MAX_CONTENT_BYTES || this.indexBytes + lineBytes > MAX_INDEX_BYTES;
    if (isFull) return false;
    this.parts.push(bytes);
    this.lines.push(line);
    this.contentBytes += bytes.length;
    this.indexBytes += lineBytes;
    return true;
  }

  /**
   * Makes the bundle. `id` must be new: it makes the bytes, and so the key, differ from those of any other bundle, even
   * of one with the same parts. So an old object that no row names is never written again while it is being removed.
   */
  build(id: string): Bundle {
    const index = toBytes(pack(`[${[JSON.stringify({ form: FORM, id }), ...this.lines].join(",")}]`));
    const bytes = Buffer.concat([...this.parts, index]);
    return {
      bytes,
      sha256: createHash("sha256").update(bytes).digest(),
      index_at: this.contentBytes,
      index_digest: digestOf(index),
    };
  }
}

/** The entries of an index, and the number of characters of its JSON. */
export interface Index {
  readonly entries: readonly Entry[];
  readonly textLength: number;
}

/** Opens the bytes of an index. Throws if they are not those that were written. */
export function openIndex(bytes: Uint8Array, { index_at, index_digest }: BundleAddress): Index {
  if (digestOf(bytes) !== index_digest) throw new Error("the index has another digest");
  const text = unpack(bytes, MAX_INDEX_BYTES);
  const [, ...lines] = Lines.parse(parseJson(text, STORED_JSON_DEPTH));
  let offset = 0;
  const entries = lines.map(([header, length, digest]): Entry => {
    offset += length;
    return { header, offset: offset - length, length, digest };
  });
  if (offset !== index_at) throw new Error("the parts do not end at the index");
  return { entries, textLength: text.length };
}

/** Whether these bytes are the part's. */
export function isIntact({ length, digest }: Entry, bytes: Uint8Array): boolean {
  return bytes.length === length && digestOf(bytes) === digest;
}

/** The first 64 bits of the SHA-256: damage is noticed, and an entry stays short. */
function digestOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex").slice(0, 16);
}

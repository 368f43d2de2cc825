/**
 * The archive: old data in R2. A bundle is written and checked before the rows that it replaces are deleted, and in the
 * same transaction D1 gets its address. So an object that no row names is a leftover, and may be removed.
 */
import { Buffer } from "node:buffer";
import { ArchiveUnreachable, Bucket } from "#archive/bucket";
import { type Bundle, type BundleAddress, type Entry, isIntact, openIndex } from "#archive/bundle";
import { type Range, rangesOf } from "#archive/ranges";
import { Remembered } from "#archive/remembered";
import type { Micros } from "#lib/clock";
import type { Cost } from "#lib/cost";
import { free } from "#lib/free";
import { log } from "#lib/log";
import type { Portions } from "#lib/portions";

/**
 * Why there is nothing to read. If an object is missing, D1 may have changed meanwhile: the caller looks at the row of
 * its address again. A damaged object or part is logged and counts as empty.
 */
export type Fault = "missing" | "damaged";

/** A part of a bundle. */
export interface OpenPart {
  readonly header: unknown;
  readonly content: Uint8Array | Fault;
}

/** Frees the memory of a portion of `readParts`. The parts are empty afterwards. */
export function freeParts(portion: readonly OpenPart[]): void {
  for (const { content } of portion) if (typeof content !== "string") free(content);
}

type Entries = readonly Entry[];

/** The memory of an isolate for indexes. */
const INDEXES_BYTES = 4_000_000;
const indexes = new Remembered<Entries>(INDEXES_BYTES);

/** The archive, for one piece of work. Its methods throw `ArchiveUnreachable` if R2 cannot be reached now. */
export class Archive {
  private readonly bucket: Bucket;

  /** `wait` is for tests. */
  constructor(r2: R2Bucket, cost: Cost, wait?: (milliseconds: number) => Promise<void>) {
    this.bucket = new Bucket(r2, cost, wait);
  }

  /**
   * Writes a bundle under a prefix of `keys.ts`. Returns when R2 has it, in full. Until then the caller must not delete
   * anything. May be repeated with the same bundle.
   */
  async write(prefix: string, bundle: Bundle): Promise<BundleAddress> {
    const { bytes, sha256, index_at, index_digest } = bundle;
    const key = `${prefix}/${Buffer.from(sha256).toString("hex")}`;
    await this.bucket.put(key, bytes, sha256);
    return { key, bytes: bytes.length, index_at, index_digest };
  }

  /** The parts of a bundle, without their bytes. */
  async readIndex(address: BundleAddress): Promise<Entries | Fault> {
    const known = indexes.get(address.key);
    if (known) return known;
    const bytes = await this.read(address, address.index_at, address.bytes - address.index_at);
    if (typeof bytes === "string") return bytes;
    try {
      const { entries, textLength } = openIndex(bytes, address);
      indexes.put(address.key, entries, 2 * textLength + 100 * entries.length);
      return entries;
    } catch (error) {
      return damaged(address, { error });
    }
  }

  /**
   * Parts of a bundle, in the order of the entries. A portion is read at once, and has at most `MAX_RANGE_BYTES`, or a
   * single larger part.
   */
  readParts(address: BundleAddress, entries: Entries): Portions<OpenPart> {
    return rangesOf(entries).map((range) => () => this.readRange(address, range));
  }

  /** Deletes objects. May be repeated. */
  async delete(keys: readonly string[]): Promise<void> {
    for (const key of keys) indexes.forget(key);
    await this.bucket.delete(keys);
  }

  /**
   * A page of the keys that begin with `prefix`, come after the key `after`, and were written before a time. `next` is
   * the `after` of the next page; null if there is none.
   */
  async listOlder(
    prefix: string,
    before: Micros,
    { after = "", limit }: { after?: string; limit?: number } = {},
  ): Promise<{ keys: string[]; next: string | null }> {
    const { objects, isLast } = await this.bucket.list(prefix, after, limit);
    const keys = objects.filter(({ uploaded }) => uploaded * 1000 < before).map(({ key }) => key);
    return { keys, next: isLast ? null : (objects.at(-1)?.key ?? null) };
  }

  private async readRange(address: BundleAddress, { offset, length, entries }: Range): Promise<OpenPart[]> {
    const bytes = await this.read(address, offset, length);
    return entries.map((entry) => {
      const { header } = entry;
      if (typeof bytes === "string") return { header, content: bytes };
      const content = bytes.subarray(entry.offset - offset, entry.offset - offset + entry.length);
      return { header, content: isIntact(entry, content) ? content : damaged(address, { offset: entry.offset }) };
    });
  }

  private async read(address: BundleAddress, offset: number, length: number): Promise<Uint8Array | Fault> {
    // R2 refuses a range without bytes.
    if (length === 0) return new Uint8Array();
    const found = await this.excerpt(address, offset, length);
    if (found === null) {
      log({}, "warn", "an object of the archive is missing", { key: address.key });
      return "missing";
    }
    const isWhole = found.size === address.bytes && found.bytes.length === length;
    return isWhole ? found.bytes : damaged(address, { size: found.size });
  }

  /** Bytes of an object, and its size. Of an object that is cut before the range, R2 gives an error. */
  private async excerpt({ key, bytes }: BundleAddress, offset: number, length: number) {
    try {
      return await this.bucket.get(key, offset, length);
    } catch (error) {
      if (!(error instanceof ArchiveUnreachable)) throw error;
      const size = await this.bucket.size(key);
      if (size === bytes) throw error;
      return size === null ? null : { bytes: new Uint8Array(), size };
    }
  }
}

function damaged({ key }: BundleAddress, fields: Readonly<Record<string, unknown>>): "damaged" {
  log({}, "error", "an object of the archive is damaged, and what cannot be read is passed over", { key, ...fields });
  return "damaged";
}

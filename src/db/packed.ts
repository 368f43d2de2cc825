/**
 * Packed columns. Large JSON texts shrink to a tenth with deflate, and D1 ends at 10 GB. A packed value is a BLOB: one
 * byte with the number of its dictionary, then the deflated text. A value that does not shrink, or that was written
 * before there were packed values, is the text itself. Both forms are read everywhere.
 *
 * D1 returns a BLOB as an array of numbers, which takes five times as long as its hexadecimal digits. So values go to
 * and from D1 as these digits. Texts are JSON arrays, so the first character tells the two forms apart.
 */
import { Buffer } from "node:buffer";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { type SQL, sql } from "drizzle-orm";
import { FIRST_DICTIONARY } from "#db/packed-dictionary";
import { free } from "#lib/free";

/** The value of a packed column on its way to or from D1: a JSON array as text, or the hexadecimal digits of a BLOB. */
export type Packed = string;

/** A text that deflate cannot shrink below this number of bytes is kept as it is: D1 takes values of 2 MB, and a digit is half a byte. */
const MAX_PACKED_BYTES = 900_000;
/** zlib's default. Level 1 makes 15 % more bytes, level 9 makes 1 % less, in a third and in one and a half times the time. */
const LEVEL = 6;

const DICTIONARIES: readonly Buffer[] = [Buffer.from(FIRST_DICTIONARY)];
/** The dictionary of new values. */
const NEWEST = 0;

/** Packs a JSON array. */
export function pack(text: string): Packed {
  const deflated = deflateRawSync(text, { level: LEVEL, dictionary: dictionary(NEWEST) });
  const bytes = Buffer.concat([Buffer.of(NEWEST), deflated]);
  const isSmaller = bytes.length < Buffer.byteLength(text) && bytes.length < MAX_PACKED_BYTES;
  return isSmaller ? bytes.toString("hex") : text;
}

/** How many bytes of JSON a value may have, unless the caller says another number. It bounds the memory that a damaged value can take. */
const MAX_BYTES = 16_000_000;

/** Returns the JSON array of a value, or of its bytes in the archive. Throws if the value is damaged. */
export function unpack(value: Packed | Uint8Array, maxBytes = MAX_BYTES): string {
  if (typeof value === "string" && isText(value)) return value;
  return withUnpacked(value, (json) => json.toString(), maxBytes);
}

/**
 * Calls `use` with the bytes of the JSON array, and returns its result. The memory of the bytes is freed directly
 * afterwards, so `use` must not keep them.
 */
export function withUnpacked<T>(value: Packed | Uint8Array, use: (json: Buffer) => T, maxBytes = MAX_BYTES): T {
  if (typeof value === "string") return withFreed(toBytes(value), (bytes) => withUnpacked(bytes, use, maxBytes));
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (bytes[0] === OPEN_BRACKET) return use(bytes);
  const options = { dictionary: dictionary(bytes[0] ?? -1), maxOutputLength: maxBytes };
  return withFreed(inflateRawSync(bytes.subarray(1), options), use);
}

/** Calls `use` with bytes, and then frees their memory at once, unless other bytes share it. */
function withFreed<T>(bytes: Buffer, use: (bytes: Buffer) => T): T {
  try {
    return use(bytes);
  } finally {
    if (bytes.buffer.byteLength === bytes.byteLength) free(bytes);
  }
}

function dictionary(number: number): Buffer {
  const found = DICTIONARIES[number];
  if (!found) throw new RangeError(`there is no dictionary ${number}`);
  return found;
}

const isText = (value: Packed): boolean => value.startsWith("[");

/** The value as bytes, for the archive. */
export function toBytes(value: Packed): Buffer {
  return isText(value) ? Buffer.from(value) : Buffer.from(value, "hex");
}

const OPEN_BRACKET = 91;

/** The number of bytes that the value takes in a row of D1. */
export function bytesInRow(value: Packed): number {
  return isText(value) ? Buffer.byteLength(value) : value.length / 2;
}

/** The expression that stores a value. */
export function stored(value: Packed): SQL {
  return isText(value) ? sql`${value}` : sql`unhex(${value})`;
}

/** The expression that stores a value that is itself an expression, such as `value ->> '$.records'`. */
export function storedOf(value: string): string {
  return `iif(substr(${value}, 1, 1) = '[', ${value}, unhex(${value}))`;
}

/** The expression that reads a packed column (`s.events`). */
export function packedColumn(column: string): SQL {
  return sql.raw(`iif(typeof(${column}) = 'blob', hex(${column}), ${column})`);
}

/** UUIDs in fewer characters: 22 of base64 for ids that only our code reads, 32 without hyphens for ids that SQL compares. */
import { Buffer } from "node:buffer";
import { canonicalUuid } from "#wire/ids";

const CANONICAL = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const PACKED = /^[\w-]{22}$/;

/** Whether a value is a UUID in the spelling that is stored. */
export function isCanonical(value: unknown): value is string {
  return typeof value === "string" && CANONICAL.test(value);
}

/** The 32 digits of a UUID. They have the same order as the UUIDs. */
export function digitsOf(uuid: string): string {
  return uuid.replaceAll("-", "");
}

/** A UUID in 22 characters. Every other value is returned unchanged. */
export function packUuid(value: unknown): unknown {
  return isCanonical(value) ? Buffer.from(digitsOf(value), "hex").toString("base64url") : value;
}

/** The value that was given to `packUuid`. */
export function unpackUuid(value: unknown): unknown {
  if (typeof value !== "string" || !PACKED.test(value)) return value;
  return canonicalUuid(Buffer.from(value, "base64url").toString("hex"));
}

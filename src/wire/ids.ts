/** Ids on the wire: UUIDs, lowercase text inside. */
import { z } from "zod";

const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;

/** Whether the text is a UUID in any of the spellings that pydantic accepts (with or without hyphens, any case). */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** The one spelling of a UUID that is stored: lowercase, hyphenated. */
export function canonicalUuid(text: string): string {
  const hex = text.replaceAll("-", "").toLowerCase();
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** A UUID in a request or an answer. */
export const Uuid = z
  .string()
  .meta({ format: "uuid" })
  .transform((value, context) => {
    if (isUuid(value)) return canonicalUuid(value);
    context.addIssue({ code: "custom", message: "Input should be a valid UUID", params: { type: "uuid_parsing" } });
    return z.NEVER;
  });

/** A UUID in an answer. */
export const UuidText = z.string().meta({ format: "uuid" });

/** Ids on the wire: UUIDs, stored as lowercase text. Also the fields that every resource has in answers. */
import * as z from "zod";
import { TimeText } from "#wire/dates";
import { refusal, refuse } from "#wire/scalars";

const UUID = /^(?:[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/i;

/** Whether the text is a UUID in any of the spellings that pydantic accepts (with or without hyphens, any case). */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** The one spelling of a UUID that is stored: lowercase, hyphenated. */
export function canonicalUuid(text: string): string {
  const hex = text.replaceAll("-", "").toLowerCase();
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

const GROUPS = [8, 4, 4, 4, 12];

/** Pydantic's message for a text that is not a UUID. */
function uuidProblem(text: string): string {
  const characters = Array.from(text);
  const stranger = characters.findIndex((char) => !/[0-9a-f-]/i.test(char));
  if (stranger >= 0) return `invalid character: found \`${characters[stranger]}\` at ${stranger}`;
  const groups = text.split("-");
  if (groups.length === 1) return `invalid length: found ${text.length}`;
  if (groups.length !== GROUPS.length) return `invalid group count: expected ${GROUPS.length}, found ${groups.length}`;
  const wrong = groups.findIndex((group, index) => group.length !== GROUPS[index]);
  return `invalid group length in group ${wrong}: expected ${GROUPS[wrong]}, found ${groups[wrong]?.length}`;
}

/** A UUID in a request: text in any of its spellings, canonical inside. */
export const Uuid = z
  .string(refusal("uuid_type", "UUID input should be a string, bytes or UUID object"))
  .meta({ format: "uuid" })
  .transform((value, context) => {
    const bare = value.replace(/^urn:uuid:/, "").replace(/^\{(.*)\}$/, "$1");
    if (isUuid(bare)) return canonicalUuid(bare);
    const error = uuidProblem(bare);
    return refuse(context, "uuid_parsing", `Input should be a valid UUID, ${error}`, { error });
  });

/** A UUID in an answer. */
export const UuidText = z.string().meta({ format: "uuid" });

/** The first fields of every resource in an answer: its id, and the times of its creation and of its last change. */
export const EntityText = { id: UuidText, created: TimeText, updated: TimeText };

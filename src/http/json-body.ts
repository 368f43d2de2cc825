/** Reads the text of a request's body as JSON. */
import { InvalidRequest } from "#http/errors";
import { MAX_JSON_DEPTH, TooDeep } from "#lib/json";
import { jsonProblem } from "#lib/json-problem";

/** The content types of JSON. */
export const JSON_TYPE = /^\s*application\/(?:[^;\s]+\+)?json\s*(?:;|$)/i;

/**
 * The value of a body's text, which `read` parses. Throws 422 where the text is no JSON, nests too deep or has half a character.
 * FastAPI: a body with another content type stays a text, so a form of another site changes nothing. A body without a content
 * type is JSON.
 */
export function readJsonBody(text: string, contentType: string | null, read: (json: string) => unknown): unknown {
  if (contentType && !JSON_TYPE.test(contentType)) return text;
  let value: unknown;
  try {
    value = read(text);
  } catch (error) {
    if (error instanceof TooDeep) throw tooDeep(error);
    const { words, position } = jsonProblem(text);
    const loc = ["body", position];
    throw new InvalidRequest(
      [{ type: "json_invalid", loc, msg: "JSON decode error", input: {}, ctx: { error: words } }],
      text,
    );
  }
  const illFormed = illFormedPath(text, value);
  if (illFormed !== null) {
    const msg = "Input should be a valid string, unable to parse raw data as a unicode string";
    throw new InvalidRequest([{ type: "string_unicode", loc: ["body", ...illFormed], msg, input: null }], null);
  }
  return value;
}

/** The answer does not repeat the body: a client may fail to read such depth. */
function tooDeep({ message, path }: TooDeep): InvalidRequest {
  const ctx = { max_depth: MAX_JSON_DEPTH };
  return new InvalidRequest([{ type: "json_too_deep", loc: ["body", ...path], msg: message, input: null, ctx }], null);
}

/** A half of a surrogate pair, which JSON can write as an escape and no database can keep as text. Whole pairs match as well: the cheap look comes first, the exact one after it. */
const ESCAPED_SURROGATE = /\\u[dD][89a-fA-F]/;

/** Where in a parsed body the first such text is; null where all are right. `text` is the body as it was sent. */
function illFormedPath(text: string, value: unknown): (string | number)[] | null {
  return ESCAPED_SURROGATE.test(text) ? find(value, []) : null;
}

function find(value: unknown, path: (string | number)[]): (string | number)[] | null {
  if (typeof value === "string") return value.isWellFormed() ? null : path;
  if (typeof value !== "object" || value === null) return null;
  for (const [key, inner] of Object.entries(value)) {
    const here = [...path, Array.isArray(value) ? Number(key) : key];
    const found = key.isWellFormed() ? find(inner, here) : path;
    if (found !== null) return found;
  }
  return null;
}

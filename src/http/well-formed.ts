/** Texts that are no Unicode: a half of a surrogate pair, which JSON can write as an escape and no database can keep as text. */

/** A half of a pair, as an escape. Whole pairs match as well: the cheap look comes first, the exact one after it. */
const ESCAPED_SURROGATE = /\\u[dD][89a-fA-F]/;

/** Where in a parsed body the first such text is; null where all are right. `text` is the body as it was sent. */
export function illFormedPath(text: string, value: unknown): (string | number)[] | null {
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

/** JSON as Python's `json.dumps(value, sort_keys=True)` writes it, for digests that a Python client computes too. */
import { isExactNumber } from "#lib/json";
import { isObject, pythonText } from "#lib/json-value";

/**
 * The text of a JSON value: keys in the order of their code points, `", "` and `": "` between values, ASCII only.
 * `known` has the texts of values that need not be printed again.
 */
export function sortedPythonJson(value: unknown, known?: ReadonlyMap<unknown, string>): string {
  if (value === null || value === undefined) return "null";
  if (typeof value === "boolean") return String(value);
  if (typeof value === "string") return quoted(value);
  if (typeof value === "number" || isExactNumber(value)) return numberText(value);
  if (Array.isArray(value)) return `[${value.map((item) => sortedPythonJson(item, known)).join(", ")}]`;
  if (!isObject(value)) return "null";
  const text = known?.get(value);
  if (text !== undefined) return text;
  const keys = Object.keys(value).toSorted(byCodePoint);
  return `{${keys.map((key) => `${quoted(key)}: ${sortedPythonJson(value[key], known)}`).join(", ")}}`;
}

/** Python writes the same numbers in JSON as elsewhere, but for those that are too large for a float. */
function numberText(value: unknown): string {
  const text = pythonText(value);
  return text.endsWith("inf") ? text.replace("inf", "Infinity") : text;
}

const quoted = (text: string) =>
  JSON.stringify(text).replaceAll(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

/** JavaScript compares UTF-16 units, in which a character above U+FFFF begins with a smaller unit than U+E000 to U+FFFF. */
function byCodePoint(one: string, other: string): number {
  const shorter = Math.min(one.length, other.length);
  for (let at = 0; at < shorter; at++) {
    const [a, b] = [one.charCodeAt(at), other.charCodeAt(at)];
    if (a !== b) return placeOf(a) - placeOf(b);
  }
  return one.length - other.length;
}

/** The place of a UTF-16 unit in the order of code points: both halves of a pair come last. */
const placeOf = (unit: number) => (unit >= 0xd8_00 && unit <= 0xdf_ff ? unit + 0x1_00_00 : unit);

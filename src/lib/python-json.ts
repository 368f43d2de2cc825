/** JSON as Python's `json.dumps(value, sort_keys=True)` writes it, for digests that a Python client computes too. */
import { isExactNumber } from "#lib/json";
import { isObject, pythonText } from "#lib/json-value";

/** The text of a JSON value: keys in the order of their code points, `", "` and `": "` between values, ASCII only. */
export function sortedPythonJson(value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (typeof value === "boolean") return String(value);
  if (typeof value === "string") return quoted(value);
  if (typeof value === "number" || isExactNumber(value)) return numberText(value);
  if (Array.isArray(value)) return `[${value.map(sortedPythonJson).join(", ")}]`;
  if (!isObject(value)) return "null";
  const keys = Object.keys(value).toSorted(byCodePoint);
  return `{${keys.map((key) => `${quoted(key)}: ${sortedPythonJson(value[key])}`).join(", ")}}`;
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
  const [a, b] = [Array.from(one), Array.from(other)];
  for (let at = 0; at < Math.min(a.length, b.length); at++) {
    const difference = (a[at]?.codePointAt(0) ?? 0) - (b[at]?.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** JSON values: their types and equality, with Python's numbers, and their text as Python prints it. */
import { isExactNumber } from "#lib/json";

/** Whether a value is a JSON object. A number that is stored as its text is not an object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isExactNumber(value);
}

/** Whether two JSON values are the same, keys in any order. Numbers are the same if their text is the same: `1.0` is not `1`. */
export function sameJson(a: unknown, b: unknown): boolean {
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .toSorted()
      .map((key) => [key, sorted(value[key])]),
  );
}

/** Python does not read integers with more digits. */
const MAX_DIGITS = 4300;

/** Returns a number's value: exact for an integer, otherwise the nearest float. Undefined for a value that is not a number. */
export function numeric(value: unknown): number | bigint | undefined {
  if (typeof value === "number") return value;
  if (!isExactNumber(value)) return undefined;
  const known = read.get(value);
  if (known !== undefined) return known;
  const { rawJSON: text } = value;
  const number = text.length <= MAX_DIGITS && isIntegerText(value) ? BigInt(text) : Number(text);
  read.set(value, number);
  return number;
}

/** The values of numbers that were read before. A schema may look at one long number a million times. */
const read = new WeakMap<object, number | bigint>();

/** Whether a number was written as an integer: `1`, not `1.0`. */
export function isIntegerText(value: unknown): boolean {
  return isExactNumber(value) ? /^-?\d+$/.test(value.rawJSON) : Number.isInteger(value);
}

/** Whether a value has a type of JSON Schema. A float without a fraction is an integer. */
export function isType(value: unknown, type: unknown): boolean {
  switch (type) {
    case "null":
      return value === null;
    case "boolean":
    case "string":
      return typeof value === type;
    case "array":
      return Array.isArray(value);
    case "object":
      return isObject(value);
    case "number":
      return numeric(value) !== undefined;
    case "integer": {
      const number = numeric(value);
      return typeof number === "bigint" || Number.isInteger(number);
    }
    default:
      return false;
  }
}

/** Returns a key that only equal values share. In JSON Schema `1.0` and `1` are equal, `true` and `1` are not. */
export function equalityKey(value: unknown): string {
  const number = numeric(value);
  if (number !== undefined)
    return typeof number === "bigint" || Number.isInteger(number) ? String(BigInt(number)) : String(number);
  if (Array.isArray(value)) return `[${value.map(equalityKey).join()}]`;
  if (!isObject(value)) return typeof value === "symbol" ? String(value) : JSON.stringify(value);
  const entries = Object.keys(value)
    .toSorted()
    .map((key) => `${JSON.stringify(key)}:${equalityKey(value[key])}`);
  return `{${entries.join()}}`;
}

/** A JSON value as Python prints it: `{'a': [1, None, True]}`. */
export function pythonText(value: unknown): string {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "string") return quoted(value);
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : floatText(value);
  if (isExactNumber(value)) return exactText(value.rawJSON);
  if (Array.isArray(value)) return `[${value.map(pythonText).join(", ")}]`;
  if (!isObject(value)) return typeof value === "symbol" ? (value.description ?? "") : "";
  return `{${Object.entries(value)
    .map(([key, item]) => `${quoted(key)}: ${pythonText(item)}`)
    .join(", ")}}`;
}

/** Python prints integers digit for digit. All other numbers are floats. */
function exactText(source: string): string {
  if (/[.eE]/.test(source)) return floatText(Number(source));
  return source === "-0" ? "0" : source;
}

function floatText(value: number): string {
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  const [mantissa = "", exponentText = ""] = Math.abs(value).toExponential().split("e");
  const exponent = Number(exponentText);
  if (exponent < -4 || exponent >= 16)
    return `${sign}${mantissa}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  const digits = mantissa.replace(".", "");
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  return `${sign}${whole}.${digits.slice(exponent + 1) || "0"}`;
}

function quoted(text: string): string {
  const escaped = text.replaceAll("\\", "\\\\").replaceAll(UNPRINTABLE, escapeOf);
  if (text.includes("'") && !text.includes('"')) return `"${escaped}"`;
  return `'${escaped.replaceAll("'", "\\'")}'`;
}

const UNPRINTABLE = /(?! )[\p{C}\p{Z}]/gu;
const NAMED: Partial<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escapeOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const hex = (digits: number) => code.toString(16).padStart(digits, "0");
  return NAMED[character] ?? (code < 256 ? `\\x${hex(2)}` : code < 65_536 ? `\\u${hex(4)}` : `\\U${hex(8)}`);
}

/** The types and the equality of JSON Schema, with numbers as Python has them: exact integers, and floats. */
import { type ExactNumber, isExactNumber } from "#lib/json";
import { isObject } from "#lib/json-value";

/** Python does not read integers of more digits. */
const MAX_DIGITS = 4300;

/** Gives a number's value: an integer exactly, any other as the nearest float. Undefined for what is no number. */
export function numeric(value: unknown): number | bigint | undefined {
  if (typeof value === "number") return value;
  return isExactNumber(value) ? exactValue(value) : undefined;
}

function exactValue({ rawJSON }: ExactNumber): number | bigint {
  const isInteger = /^-?\d+$/.test(rawJSON) && rawJSON.length <= MAX_DIGITS;
  return isInteger ? BigInt(rawJSON) : Number(rawJSON);
}

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

/** Gives a key that only equal values share. In JSON Schema `1.0` and `1` are equal, `true` and `1` are not. */
export function equalityKey(value: unknown): string {
  const number = numeric(value);
  if (number !== undefined)
    return typeof number === "bigint" || Number.isInteger(number) ? String(BigInt(number)) : String(number);
  if (Array.isArray(value)) return `[${value.map(equalityKey).join()}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const entries = Object.keys(value)
    .toSorted()
    .map((key) => `${JSON.stringify(key)}:${equalityKey(value[key])}`);
  return `{${entries.join()}}`;
}

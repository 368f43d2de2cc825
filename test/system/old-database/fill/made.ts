/** Ids, times and numbers that are the same each time the fixture is made. */

/** When the reported events and logs begin. */
export const BEGIN = Date.UTC(2026, 10, 20, 6);
export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;

let made = 0;

/** A UUIDv7 of a time. The other bits count the ids. */
export function idAt(milliseconds: number): string {
  const time = milliseconds.toString(16).padStart(12, "0");
  const count = (++made).toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7abc-8def-${count}`;
}

/** A time on the wire, with microseconds. */
export function timeAt(milliseconds: number, microseconds = 0): string {
  return new Date(milliseconds).toISOString().replace("Z", `${String(microseconds).padStart(3, "0")}Z`);
}

/** A number that is printed as this text. V8's `JSON.rawJSON` has no type in TypeScript yet. */
export function exact(text: string): unknown {
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(text);
}

/** Numbers that JavaScript would change. */
export const EXACT = {
  big: exact("12345678901234567890"),
  cents: exact("1.10"),
  one: exact("1.0"),
  small: exact("1e-7"),
  digits: exact("0.1234567890123456789012345"),
};

export const UNICODE = 'Grüße, 世界 🌍 – e\u0301 \u2028 "quoted" \\ back\\slash\ttab';

/** Objects in objects, `depth` of them. */
export function nested(depth: number): unknown {
  return depth === 0 ? EXACT : { level: depth, inner: nested(depth - 1) };
}

/** One of the values, in turn. */
export function turn<T>(values: readonly [T, ...T[]], index: number): T {
  return values[index % values.length] ?? values[0];
}

/** The numbers from 0 up to `count`. */
export function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

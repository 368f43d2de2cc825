/**
 * JSON texts of values that break a careless server. A large value is a mark such as `«deep:1100»`, so that a request is
 * short enough to print. `expand` replaces each mark by its value.
 */
import * as fc from "fast-check";

/** Numbers at and beyond the edges of JavaScript, of int64 and of a double. */
const NUMBERS = [
  "9007199254740991",
  "9007199254740992",
  "9007199254740993",
  "-9007199254740993",
  "1152921504606846977",
  "9223372036854775807",
  "9223372036854775808",
  "-9223372036854775809",
  "123456789012345678901234567890",
  "2147483648",
  "1e18",
  "-1e18",
  "1e308",
  "1e400",
  "-1e400",
  "1e-400",
  "-0.0",
  "1.0",
  "0",
  "-1",
  "0.5",
  "0.000001",
];

/** Times beyond the years that can be printed, and at their edges; as text and as numbers of seconds. */
const TIMES = [
  '"0000-01-01T00:00:00Z"',
  '"0001-01-01T00:00:00Z"',
  '"0001-01-01T00:00:00+23:59"',
  '"0044-03-15T12:00:00Z"',
  '"1582-10-10T00:00:00Z"',
  '"9999-12-31T23:59:59.999999Z"',
  '"9999-12-31T23:59:59.999999-23:59"',
  '"10000-01-01T00:00:00Z"',
  '"+275760-09-13T00:00:00Z"',
  '"-000001-01-01T00:00:00Z"',
  '"2026-02-30T00:00:00Z"',
  '"2026-01-01T00:00:00+23:59"',
  '"2026-01-01T00:00:60Z"',
  "253402300799",
  "253402300800",
  "-62135596800",
  "-62135596801",
  "8640000000000",
  "1e18",
  "-1e18",
  "1e400",
  '"1e18"',
  "0",
];

/** Texts. A lone surrogate and a NUL are escapes, because JSON has no other way to write them. */
const TEXTS = [
  String.raw`"\u0000"`,
  String.raw`"a\u0000b"`,
  String.raw`"\ud800"`,
  String.raw`"x\udfff"`,
  String.raw`"\u202Eabc\u202C"`,
  '"%"',
  '"%%_"',
  '"%E0%A4%A"',
  '"__proto__"',
  '"constructor"',
  `"'; drop table flow_run; --"`,
  '""',
  '" "',
  '"a/b"',
  '".."',
  '"{{ prefect.variables.x }}"',
  '"prefect.flow-run."',
  '"^(a+)+$"',
  '"("',
  '"٣"',
  '"NaN"',
  '"Infinity"',
  '"«text:5000»"',
  '"«text:1000000»"',
  '"«emoji:100000»"',
];

/** Schedules that never end, never begin, or have far too many dates. */
export const RULES = [
  String.raw`"DTSTART:20200101T000000\nRRULE:FREQ=DAILY\nEXRULE:FREQ=DAILY"`,
  String.raw`"DTSTART:20200101T000000\nRRULE:FREQ=SECONDLY\nEXRULE:FREQ=SECONDLY"`,
  '"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"',
  '"FREQ=SECONDLY;INTERVAL=999999999999"',
  '"FREQ=SECONDLY;BYHOUR=25"',
  '"FREQ=DAILY;UNTIL=00010101T000000Z"',
  String.raw`"DTSTART:00010101T000000\nRRULE:FREQ=SECONDLY"`,
  String.raw`"DTSTART:99991231T000000\nRRULE:FREQ=YEARLY"`,
  '"FREQ=DAILY;COUNT=0"',
  '"FREQ=MINUTELY;BYDAY=MO,TU;BYSETPOS=-1;COUNT=9999999"',
];

/** Deep and large values. */
const SHAPES = [
  "«deep:890»",
  "«object:890»",
  "«deep:1100»",
  "«object:100000»",
  "«list:20001»",
  "«ids:501»",
  "«ids:1000»",
  "«kinds:400»",
  '{"a":{"__proto__":{"b":1},"constructor":{"prototype":{"b":1}}},"hasOwnProperty":1}',
  "«ids:20001»",
  '{"«text:100000»":1}',
  '{"__proto__":{"a":1},"constructor":1,"toString":2}',
  '{"a":1,"a":2}',
  '{"":0}',
];
const WRONG = ["null", "true", "false", "[]", "{}", '"text"', "7", "[null]", "[[]]", '{"a":null}'];

/** Hostile values, mostly of the expected kind. */
export function hostile(kind: "number" | "time" | "text" | "other"): fc.Arbitrary<string> {
  const own = { number: NUMBERS, time: TIMES, text: TEXTS, other: SHAPES }[kind];
  return fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...own) },
    { weight: 1, arbitrary: fc.constantFrom(...NUMBERS) },
    { weight: 1, arbitrary: fc.constantFrom(...TIMES) },
    { weight: 1, arbitrary: fc.constantFrom(...TEXTS) },
    { weight: 1, arbitrary: fc.constantFrom(...SHAPES) },
    { weight: 2, arbitrary: fc.constantFrom(...WRONG) },
  );
}

/** Texts for a path or a query, not yet percent-encoded. */
export const hostileWords: readonly string[] = [
  "%",
  "%00",
  "%ed%a0%80",
  "%2F",
  "..",
  "'; drop table flow; --",
  "__proto__",
  "-1",
  "0",
  "1e400",
  "9223372036854775808",
  "0000-01-01T00:00:00Z",
  "10000-01-01T00:00:00Z",
  "1e18",
  "00000000-0000-0000-0000-000000000000",
  "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
  "«text:8000»",
];

const MARK = /«(\w+):([^»]*)»/g;

/** Replaces the marks of large values by the values. Marks that name rows stay. */
export function expand(text: string): string {
  return text.replaceAll(MARK, (mark, kind: string, of: string) => LARGE[kind]?.(Number(of)) ?? mark);
}

const LARGE: Readonly<Record<string, (count: number) => string>> = {
  deep: (count) => "[".repeat(count) + "]".repeat(count),
  object: (count) => `${'{"a":'.repeat(count)}1${"}".repeat(count)}`,
  text: (count) => "x".repeat(count),
  emoji: (count) => "😀".repeat(count / 2),
  list: (count) => JSON.stringify(Array.from({ length: count }, (_, index) => `item-${index}`)),
  /** Values that stand for the value inside them. */
  kinds: (count) => `${'{"__prefect_kind":"workspace_variable","variable_name":'.repeat(count)}"x"${"}".repeat(count)}`,
  /** Schemas that no object meets. */
  schemas: (count) => Array.from({ length: count }, () => '{"type":"string"}').join(),
  /** A schema in which each definition refers twice to the next. */
  doubling: (count) => {
    const both = (index: number) => `{"anyOf":[{"$ref":"#/$defs/d${index}"},{"$ref":"#/$defs/d${index}"}]}`;
    const definitions = Array.from({ length: count }, (_, index) => `"d${index}":${both(index + 1)}`);
    return `{"$ref":"#/$defs/d0","$defs":{${definitions.join()},"d${count}":{"type":"string"}}}`;
  },
  /** The fields of a block schema, whose definitions are blocks that refer to the next. */
  definitions: (count) => {
    const one = (index: number) =>
      `"d${index}":{"title":"d${index}","block_type_slug":"x","p":{"$ref":"#/definitions/d${index + 1}"}}`;
    return `{"title":"many","definitions":{${Array.from({ length: count }, (_, index) => one(index)).join()}}}`;
  },
  /** The data of a block document that refers many times to one document. */
  references: (count) => {
    const reference = '{"$ref":{"block_document_id":"«block_document:0»"}}';
    return `{${Array.from({ length: count }, (_, index) => `"k${index}":${reference}`).join()}}`;
  },
  brackets: (count) => "(".repeat(count) + ")".repeat(count),
  sum: (count) => `a${"+a".repeat(count)}`,
  ids: (count) => JSON.stringify(Array.from({ length: count }, (_, index) => idOf(index))),
};

const idOf = (index: number) => `0199f7d4-3c3c-7c3c-8c3c-${index.toString(16).padStart(12, "0")}`;

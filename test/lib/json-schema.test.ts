import { describe, expect, test, vi } from "vitest";
import { MAX_JSON_DEPTH, parseJson } from "#lib/json";
import { schemaProblem, validateSchema } from "#lib/json-schema";
import { UnusableSchema } from "#lib/json-schema/schema";
import { valuesProblem } from "#wire/parameters";
import recorded from "./recorded/verdicts.json";

type Schema = Record<string, unknown>;

const first = (value: unknown, schema: Schema) => validateSchema(value, schema);

test.for([
  [{ x: "five" }, { properties: { x: { type: "integer" } } }, ["x"], "'five' is not of type 'integer'"],
  [{}, { required: ["x"] }, [], "'x' is a required property"],
  [{ x: "b" }, { properties: { x: { enum: ["a", 1, null] } } }, ["x"], "'b' is not one of ['a', 1, None]"],
  [{ x: true }, { properties: { x: { type: ["string", "null"] } } }, ["x"], "True is not of type 'string', 'null'"],
  [
    { x: "a" },
    { properties: { x: { anyOf: [{ type: "integer" }, { type: "null" }] } } },
    ["x"],
    "'a' is not valid under any of the given schemas",
  ],
  [
    { x: 1 },
    { properties: { x: { oneOf: [{ type: "integer" }, { minimum: 0 }] } } },
    ["x"],
    "1 is valid under each of {'minimum': 0}, {'type': 'integer'}",
  ],
  [{ x: [1, "a"] }, { properties: { x: { items: { type: "integer" } } } }, ["x", 1], "'a' is not of type 'integer'"],
  [
    { y: 1 },
    { properties: {}, additionalProperties: false },
    [],
    "Additional properties are not allowed ('y' was unexpected)",
  ],
  [
    { x: 3 },
    { properties: { x: { $ref: "#/definitions/X" } }, definitions: { X: { maximum: 2 } } },
    ["x"],
    "3 is greater than the maximum of 2",
  ],
  [{ x: "" }, { properties: { x: { minLength: 1 } } }, ["x"], "'' should be non-empty"],
  [{ x: { a: 1 } }, { properties: { x: { type: "string" } } }, ["x"], "{'a': 1} is not of type 'string'"],
] as const)("%j against %j is refused in the words of Python", ([value, schema, path, message]) => {
  expect(first(value, schema)).toEqual({ path, message });
});

test("the outermost of several faults is reported", () => {
  const schema = { properties: { x: { properties: { y: { type: "integer" } } }, z: { type: "integer" } } };
  expect(first({ x: { y: "a" }, z: "b" }, schema)).toEqual({ path: ["z"], message: "'b' is not of type 'integer'" });
});

test("a format is not checked, but a property named format is checked", () => {
  expect(validateSchema("no address", { type: "string", format: "email" })).toBeUndefined();
  expect(first({ format: 1 }, { properties: { format: { type: "string" } } })?.path).toEqual(["format"]);
});

test("a check does not change the schema", () => {
  const schema = Object.freeze({ properties: Object.freeze({ x: Object.freeze({ type: "integer" }) }) });
  expect(validateSchema({ x: 1 }, schema)).toBeUndefined();
});

test("a schema with an unknown reference, or with circular references, is invalid", () => {
  expect(() => validateSchema({}, { $ref: "#/definitions/None" })).toThrow(UnusableSchema);
  expect(() => validateSchema({}, { $ref: "http://elsewhere/schema.json" })).toThrow(UnusableSchema);
  expect(() => validateSchema({}, { $ref: "#" })).toThrow(UnusableSchema);
});

test.for([
  [{ type: "thing" }, "'thing' is not valid under any of the given schemas"],
  [{ properties: { x: { type: "integer", minimum: "a" } } }, "'a' is not of type 'number'"],
  [{ required: "x" }, "'x' is not of type 'array'"],
  [{ properties: { x: { pattern: "(" } } }, "'(' is not a 'regex'"],
  [{ patternProperties: { "a**": {} } }, "'a**' is not a 'regex'"],
  [{ propertyNames: { pattern: "[" } }, "'[' is not a 'regex'"],
  [{ $defs: { x: { anyOf: [{ pattern: "(?P<1>a)" }] } } }, "'(?P<1>a)' is not a 'regex'"],
  [{ pattern: "(a)\\1" }, undefined],
  [{ enum: [{ pattern: "(" }], default: { pattern: "(" }, format: "regex" }, undefined],
  [{ type: "object", properties: { x: true } }, undefined],
] as const)("%j as a schema: %s", ([schema, problem]) => {
  expect(schemaProblem(schema)).toBe(problem);
});

/** The verdict, in the words of the recorded table. */
function verdictOf(schema: Schema, value: unknown): string {
  const unusable = schemaProblem(schema);
  if (unusable !== undefined) return `schema: ${unusable}`;
  try {
    return valuesProblem(value, withoutRepair(schema)) ?? "ok";
  } catch (error) {
    if (error instanceof UnusableSchema) return error.reason;
    throw error;
  }
}

/** A schema that the original does not repair. */
const withoutRepair = (schema: Schema): Schema => ({ allOf: [schema], $defs: schema["$defs"] });

test.for(recorded)("$value against $schema: $verdict", ({ schema, value, verdict }) => {
  expect(verdictOf(parseJson(schema) as Schema, parseJson(value))).toBe(verdict);
});

describe("numbers are compared by their exact value", () => {
  test.for([
    ["1152921504606846977", '{"const":1152921504606846976}', "1152921504606846976 was expected"],
    ["1152921504606846977", '{"maximum":1152921504606846976}', "is greater than the maximum of 1152921504606846976"],
    ["1152921504606846977", '{"exclusiveMinimum":1152921504606846976}', undefined],
    ["1152921504606846977", '{"type":"integer"}', undefined],
    ["1.0", '{"type":"integer"}', undefined],
    ["1.5", '{"type":"integer"}', "1.5 is not of type 'integer'"],
    ["1e400", '{"type":"integer"}', "inf is not of type 'integer'"],
    ["1.0", '{"enum":[1]}', undefined],
    ["true", '{"enum":[1]}', "True is not one of [1]"],
    ["[9007199254740993,9007199254740992]", '{"uniqueItems":true}', undefined],
    ["[1,1.0]", '{"uniqueItems":true}', "[1, 1.0] has non-unique elements"],
    ["123456789012345678901234567891", '{"multipleOf":3}', "is not a multiple of 3"],
    ["123456789012345678901234567892", '{"multipleOf":2}', undefined],
    ["1e22", '{"minimum":1E23}', "1e+22 is less than the minimum of 1e+23"],
    [
      '{"a":12345678901234567890}',
      '{"properties":{"a":{"type":"object"}}}',
      "12345678901234567890 is not of type 'object'",
    ],
  ] as const)("%s against %s", ([value, schema, problem]) => {
    const told = validateSchema(parseJson(value), parseJson(schema) as Schema)?.message;
    if (problem === undefined) expect(told).toBeUndefined();
    else expect(told).toContain(problem);
  });
});

describe("the names of JavaScript's own properties are ordinary names", () => {
  const names = ["__proto__", "constructor", "toString", "hasOwnProperty"];

  test.for(names)("%s is required if it is missing", (name) => {
    expect(first({}, { required: [name] })?.message).toBe(`'${name}' is a required property`);
  });

  test.for(names)("%s is checked by its own schema", (name) => {
    const schema = parseJson(`{"properties":{"${name}":{"type":"integer"}},"additionalProperties":false}`) as Schema;
    expect(first(parseJson(`{"${name}":1}`), schema)).toBeUndefined();
    expect(first(parseJson(`{"${name}":"a"}`), schema)?.path).toEqual([name]);
    const leadsNowhere = { $ref: `#/$defs/${name}`, $defs: { a: {} } };
    expect(() => validateSchema({}, leadsNowhere)).toThrow(/PointerToNowhere/);
  });
});

describe("a pattern that cannot be run refuses no value, and is logged", () => {
  const pattern = "^(a)\\1$";
  test.for<[string, Schema, unknown]>([
    ["pattern", { pattern }, "b"],
    ["not", { not: { pattern } }, "aa"],
    ["oneOf", { oneOf: [{ pattern }, { type: "string" }] }, "b"],
    ["if", parseJson(`{"if":{"pattern":${JSON.stringify(pattern)}},"then":false,"else":false}`) as Schema, "b"],
    ["contains", { contains: { pattern }, maxContains: 0, minContains: 0 }, ["b"]],
    ["patternProperties", { patternProperties: { [pattern]: false }, additionalProperties: false }, { b: 1 }],
    ["unevaluatedProperties", { patternProperties: { [pattern]: true }, unevaluatedProperties: false }, { b: 1 }],
    ["propertyNames", { propertyNames: { pattern } }, { b: 1 }],
  ])("%s", ([, schema, value]) => {
    const warn = vi.spyOn(console, "warn").mockReturnValue();
    expect(validateSchema(value, schema)).toBeUndefined();
    expect(warn.mock.calls.join()).toContain("back-reference");
    warn.mockRestore();
  });

  test("the other rules of the schema are still checked", () => {
    const warn = vi.spyOn(console, "warn").mockReturnValue();
    expect(validateSchema("b", { pattern, minLength: 2 })?.message).toBe("'b' is too short");
    expect(validateSchema("b", { not: { pattern, type: "integer" } })).toBeUndefined();
    warn.mockRestore();
  });
});

describe("the work of a check is bounded", () => {
  const chain = (keyword: string): Schema => ({
    $ref: "#/$defs/s0",
    $defs: Object.fromEntries(
      Array.from({ length: 40 }, (_, level) => [
        `s${level}`,
        level === 39 ? { type: "integer" } : { [keyword]: [1, 2].map(() => ({ $ref: `#/$defs/s${level + 1}` })) },
      ]),
    ),
  });

  test.for<[string, Schema, unknown]>([
    ["paths that double with each level", chain("allOf"), 1],
    ["choices that double with each level", chain("anyOf"), "a"],
    ["choices of one that double with each level", chain("oneOf"), 1],
    ["a long text and a large pattern", { pattern: "(a?){900}b" }, "a".repeat(400_000)],
    [
      "many texts and large patterns",
      { items: { pattern: "^(a|b|c){0,900}$" } },
      Array<string>(500).fill("abc".repeat(400)),
    ],
    [
      "many names and many patterns",
      { patternProperties: Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`^x${i}$`, true])) },
      Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`x${i}`, 1])),
    ],
    [
      "a long list for each of many items",
      { items: { required: Array.from({ length: 10_000 }, (_, i) => `x${i}`) } },
      Array.from({ length: 10_000 }, () => ({})),
    ],
    [
      "a large value for each of many choices",
      { anyOf: Array.from({ length: 10_000 }, () => ({ const: 1 })) },
      Array(10_000).fill("abcdef"),
    ],
  ])("%s", ([, schema, value]) => {
    expect(() => validateSchema(value, schema)).toThrow(/takes too much work to validate by/);
  });

  test("the time of a check is proportional to the length of a list", () => {
    const many = Array.from({ length: 100_000 }, (_, index) => `value ${index}`);
    expect(validateSchema(many, { uniqueItems: true, items: { enum: many } })).toBeUndefined();
    expect(validateSchema([...many, "value 7"], { uniqueItems: true })?.message).toContain("has non-unique elements");
  });

  test("a schema with circular references is refused, whatever keywords the schema has", () => {
    const circles: Schema[] = [
      { $ref: "#" },
      { allOf: [{ $ref: "#" }, { $ref: "#" }] },
      {
        unevaluatedProperties: false,
        $ref: "#/$defs/a",
        $defs: { a: { $ref: "#/$defs/b" }, b: { $ref: "#/$defs/a" } },
      },
      { not: { $ref: "#" } },
    ];
    for (const schema of circles) expect(() => validateSchema({ a: 1 }, schema)).toThrow(/circular references/);
  });

  const nested = (open: string, inner: string, close: string, levels: number) =>
    parseJson(open.repeat(levels) + inner + close.repeat(levels));

  test("values and schemas of the maximum depth do not overflow the stack", () => {
    const deep = nested('{"a":', "1", "}", MAX_JSON_DEPTH);
    expect(first(deep, { type: "array" })?.message).toContain("is not of type 'array'");
    expect(first(deep, { const: deep })).toBeUndefined();
    expect(first([deep, deep], { uniqueItems: true })?.message).toContain("has non-unique elements");
    const tree = { properties: { a: { $ref: "#" } } };
    expect(first(nested('{"a":', "1", "}", 400), tree)).toBeUndefined();
    const schema = nested('{"items":', "true", "}", MAX_JSON_DEPTH - 1) as Schema;
    expect(first(nested("[", "1", "]", MAX_JSON_DEPTH), schema)).toBeUndefined();
    expect(schemaProblem(nested('{"properties":{"x":', "true", "}}", 300))).toBeUndefined();
  });
});

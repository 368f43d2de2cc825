import { expect, test } from "vitest";
import { schemaProblem, UnusableSchema, validateSchema } from "#lib/json-schema";

const first = (value: unknown, schema: Record<string, unknown>) => validateSchema(value, schema)[0];

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
    "1 is valid under more than one of the given schemas",
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
] as const)("%j against %j is told as Python tells it", ([value, schema, path, message]) => {
  expect(first(value, schema)).toEqual({ path, message });
});

test("of several problems the outermost is told", () => {
  const schema = { properties: { x: { properties: { y: { type: "integer" } } }, z: { type: "integer" } } };
  expect(first({ x: { y: "a" }, z: "b" }, schema)).toEqual({ path: ["z"], message: "'b' is not of type 'integer'" });
});

test("a format is not looked at, a property of that name is", () => {
  expect(validateSchema("no address", { type: "string", format: "email" })).toEqual([]);
  expect(first({ format: 1 }, { properties: { format: { type: "string" } } })?.path).toEqual(["format"]);
});

test("a schema is not changed by being applied", () => {
  const schema = Object.freeze({ properties: Object.freeze({ x: Object.freeze({ type: "integer" }) }) });
  expect(validateSchema({ x: 1 }, schema)).toEqual([]);
});

test("a reference that leads nowhere, or round in a circle, makes a schema unusable", () => {
  expect(() => validateSchema({}, { $ref: "#/definitions/None" })).toThrow(UnusableSchema);
  expect(() => validateSchema({}, { $ref: "http://elsewhere/schema.json" })).toThrow(UnusableSchema);
  expect(() => validateSchema({}, { $ref: "#" })).toThrow(UnusableSchema);
});

test.for([
  [{ type: "thing" }, "'thing' is not valid under any of the given schemas"],
  [{ properties: { x: { type: "integer", minimum: "a" } } }, "'a' is not of type 'number'"],
  [{ required: "x" }, "'x' is not of type 'array'"],
  [{ type: "object", properties: { x: true } }, undefined],
] as const)("%j as a schema: %s", ([schema, problem]) => {
  expect(schemaProblem(schema)).toBe(problem);
});

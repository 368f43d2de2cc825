/** Values against JSON Schemas (draft 2020-12), told in the words of Python's `jsonschema`, which clients know. */
import { type OutputUnit, Validator } from "@cfworker/json-schema";
import { isExactNumber } from "#lib/json";

/** A JSON Schema as it comes over the wire. */
export type JsonSchema = Record<string, unknown>;

/** One thing that is wrong with a value. */
export interface SchemaProblem {
  /** Where, from the root: names and indexes. */
  path: (string | number)[];
  message: string;
}

/** A schema that cannot be applied: a reference leads nowhere, or around in a circle. */
export class UnusableSchema extends Error {
  readonly isCircular: boolean;

  constructor(message: string, isCircular: boolean) {
    super(message);
    this.isCircular = isCircular;
  }
}

/** What is wrong with the value, the most telling first; nothing, if it is valid. Formats are not looked at. */
export function validateSchema(value: unknown, schema: JsonSchema): SchemaProblem[] {
  const usable = withoutFormats(schema);
  try {
    const { errors } = new Validator(usable, "2020-12", false).validate(value);
    return leaves(errors)
      .map((unit) => ({ path: pathOf(unit.instanceLocation, value), message: messageOf(unit, value, usable) }))
      .toSorted(byRelevance);
  } catch (error) {
    if (error instanceof RangeError) throw new UnusableSchema("The schema refers to itself without end.", true);
    const unresolved = error instanceof Error ? /Unresolved \$ref "([^"]*)"/.exec(error.message) : null;
    if (unresolved) throw new UnusableSchema(`Unresolvable: ${unresolved[1]}`, false);
    throw error;
  }
}

/** What is wrong with the schema itself, or undefined. */
export function schemaProblem(schema: unknown): string | undefined {
  return validateSchema(schema, META_SCHEMA)[0]?.message;
}

/** Whether two JSON values are the same, keys in any order. */
export function sameJson(a: unknown, b: unknown): boolean {
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
}

/** A JSON value as Python prints it: `{'a': [1, None, True]}`. */
export function pythonText(value: unknown): string {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "string") return quoted(value);
  if (Array.isArray(value)) return `[${value.map(pythonText).join(", ")}]`;
  if (typeof value === "number") return String(value);
  if (isExactNumber(value)) return value.rawJSON;
  if (!isObject(value)) return "";
  return `{${Object.entries(value)
    .map(([key, item]) => `${quoted(key)}: ${pythonText(item)}`)
    .join(", ")}}`;
}

/** Whether a value is a JSON object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isExactNumber(value);
}

/** Python's `best_match`: the outermost comes first, and of those the last by its path. */
function byRelevance(a: SchemaProblem, b: SchemaProblem): number {
  if (a.path.length !== b.path.length) return a.path.length - b.path.length;
  const step = a.path.findIndex((part, index) => part !== b.path[index]);
  if (step === -1) return 0;
  const [left = "", right = ""] = [a.path[step], b.path[step]];
  if (typeof left === "number" && typeof right === "number") return right - left;
  return String(left) > String(right) ? -1 : 1;
}

const TYPES = ["array", "boolean", "integer", "null", "number", "object", "string"];
const SELF = { $ref: "#" };
const SCHEMAS = { type: "object", additionalProperties: SELF };
const LIST = { type: "array", minItems: 1, items: SELF };
const COUNT = { type: "integer", minimum: 0 };
const NAMES = { type: "array", items: { type: "string" } };

/** The keywords of draft 2020-12 whose shape matters to whoever applies the schema. */
const META_SCHEMA: JsonSchema = {
  type: ["object", "boolean"],
  properties: {
    $ref: { type: "string" },
    $defs: SCHEMAS,
    definitions: SCHEMAS,
    properties: SCHEMAS,
    patternProperties: SCHEMAS,
    dependentSchemas: SCHEMAS,
    additionalProperties: SELF,
    propertyNames: SELF,
    items: SELF,
    prefixItems: LIST,
    contains: SELF,
    allOf: LIST,
    anyOf: LIST,
    oneOf: LIST,
    not: SELF,
    if: SELF,
    // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema; nobody awaits a schema.
    then: SELF,
    else: SELF,
    type: {
      anyOf: [{ enum: TYPES }, { type: "array", minItems: 1, items: { enum: TYPES } }],
    },
    enum: { type: "array" },
    required: NAMES,
    minimum: { type: "number" },
    maximum: { type: "number" },
    exclusiveMinimum: { type: "number" },
    exclusiveMaximum: { type: "number" },
    multipleOf: { type: "number", exclusiveMinimum: 0 },
    minLength: COUNT,
    maxLength: COUNT,
    minItems: COUNT,
    maxItems: COUNT,
    minProperties: COUNT,
    maxProperties: COUNT,
    pattern: { type: "string" },
    title: { type: "string" },
    description: { type: "string" },
  },
};

/** Keywords that only say that something below them is wrong. */
const CARRIERS = new Set([
  "$ref",
  "$recursiveRef",
  "$dynamicRef",
  "allOf",
  "properties",
  "patternProperties",
  "dependentSchemas",
  "items",
  "prefixItems",
  "additionalItems",
  "unevaluatedItems",
  "if",
  "then",
  "else",
]);

/** The errors that say what is wrong; what no branch of an `anyOf` or `oneOf` could take is told once. */
function leaves(units: readonly OutputUnit[]): OutputUnit[] {
  const choices = units
    .filter((unit) => unit.keyword === "anyOf" || unit.keyword === "oneOf")
    .map((unit) => unit.keywordLocation);
  const isBelowChoice = (unit: OutputUnit) => choices.some((choice) => unit.keywordLocation.startsWith(`${choice}/`));
  const below = (unit: OutputUnit) =>
    units.some((other) => other !== unit && other.keywordLocation.startsWith(`${unit.keywordLocation}/`));
  const isForbidding = (unit: OutputUnit) =>
    unit.keyword === "additionalProperties" || unit.keyword === "unevaluatedProperties";
  const forbids = units.some(isForbidding);
  return units.filter(
    (unit) =>
      !isBelowChoice(unit) &&
      !CARRIERS.has(unit.keyword) &&
      !((isForbidding(unit) || unit.keyword === "propertyNames") && below(unit)) &&
      !(unit.keyword === "false" && forbids),
  );
}

function messageOf(unit: OutputUnit, root: unknown, schema: JsonSchema): string {
  const value = at(root, pointer(unit.instanceLocation));
  const rule = ruleOf(unit, schema);
  const shown = pythonText(value);
  switch (unit.keyword) {
    case "type":
      return `${shown} is not of type ${[rule]
        .flat()
        .map((type) => quoted(String(type)))
        .join(", ")}`;
    case "required":
      return `${quoted(/"(.*)"\.$/.exec(unit.error)?.[1] ?? "")} is a required property`;
    case "enum":
      return `${shown} is not one of ${pythonText(rule)}`;
    case "const":
      return `${pythonText(rule)} was expected`;
    case "anyOf":
      return `${shown} is not valid under any of the given schemas`;
    case "oneOf":
      return unit.error.includes("(0 matches)")
        ? `${shown} is not valid under any of the given schemas`
        : `${shown} is valid under more than one of the given schemas`;
    case "minimum":
      return `${shown} is less than the minimum of ${pythonText(rule)}`;
    case "maximum":
      return `${shown} is greater than the maximum of ${pythonText(rule)}`;
    case "exclusiveMinimum":
      return `${shown} is less than or equal to the minimum of ${pythonText(rule)}`;
    case "exclusiveMaximum":
      return `${shown} is greater than or equal to the maximum of ${pythonText(rule)}`;
    case "multipleOf":
      return `${shown} is not a multiple of ${pythonText(rule)}`;
    case "minLength":
    case "minItems":
      return rule === 1 ? `${shown} should be non-empty` : `${shown} is too short`;
    case "maxLength":
    case "maxItems":
      return rule === 0 ? `${shown} is expected to be empty` : `${shown} is too long`;
    case "minProperties":
      return rule === 1 ? `${shown} should be non-empty` : `${shown} does not have enough properties`;
    case "maxProperties":
      return `${shown} has too many properties`;
    case "pattern":
      return `${shown} does not match ${pythonText(rule)}`;
    case "uniqueItems":
      return `${shown} has non-unique elements`;
    case "additionalProperties":
    case "unevaluatedProperties":
      return `Additional properties are not allowed (${quoted(/"([^"]*)"/.exec(unit.error)?.[1] ?? "")} was unexpected)`;
    case "false":
      return `False schema does not allow ${shown}`;
    default:
      return unit.error;
  }
}

/** What the schema says under the keyword, where it can be followed without a reference on the way. */
function ruleOf(unit: OutputUnit, schema: JsonSchema): unknown {
  let here: unknown = schema;
  for (const key of pointer(unit.keywordLocation)) {
    here = at(here, [key]);
    if (key === "$ref" && typeof here === "string" && here.startsWith("#")) here = at(schema, pointer(here));
  }
  return here;
}

function pathOf(location: string, root: unknown): (string | number)[] {
  let here = root;
  return pointer(location).map((key) => {
    const step = Array.isArray(here) ? Number(key) : key;
    here = at(here, [key]);
    return step;
  });
}

function pointer(location: string): string[] {
  const parts = decodeURI(location.slice(1)).split("/").slice(1);
  return parts.map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((here, key) => {
    if (Array.isArray(here)) return here[Number(key)];
    return isObject(here) && Object.hasOwn(here, key) ? here[key] : undefined;
  }, value);
}

/** A copy that may be given to the validator, which marks the schemas it has seen, and checks formats; Python does not. */
function withoutFormats(value: JsonSchema): JsonSchema {
  const copy = (inner: unknown): unknown => {
    if (Array.isArray(inner)) return inner.map(copy);
    if (!isObject(inner)) return inner;
    const entries = Object.entries(inner).filter(([key, item]) => !(key === "format" && typeof item === "string"));
    return Object.fromEntries(entries.map(([key, item]) => [key, copy(item)]));
  };
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, item]) =>
      key === "format" && typeof item === "string" ? [] : [[key, copy(item)]],
    ),
  );
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

function quoted(text: string): string {
  const escaped = text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\r", "\\r").replaceAll("\t", "\\t");
  if (text.includes("'") && !text.includes('"')) return `"${escaped}"`;
  return `'${escaped.replaceAll("'", "\\'")}'`;
}

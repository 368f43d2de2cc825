/** The schema of JSON Schemas of draft 2020-12. */
import type { Application, JsonSchema, Keyword } from "#lib/json-schema/application";
import { KEYWORDS } from "#lib/json-schema/keywords";
import { pythonText } from "#lib/json-value";
import { isPattern } from "#lib/pattern";

const TYPES = ["array", "boolean", "integer", "null", "number", "object", "string"];
const SELF = { $ref: "#" };
const SCHEMAS = { type: "object", additionalProperties: SELF };
const LIST = { type: "array", minItems: 1, items: SELF };
const COUNT = { type: "integer", minimum: 0 };
const NUMBER = { type: "number" };
const TEXT = { type: "string" };
const TRUTH = { type: "boolean" };
const ANCHOR = { type: "string", pattern: "^[A-Za-z_][-A-Za-z0-9._]*$" };
const NAMES = { type: "array", items: TEXT, uniqueItems: true };

/** Prefect: the keywords have the order of the original's schema, for the first one that fails is shown. */
export const META_SCHEMA: JsonSchema = {
  type: ["object", "boolean"],
  properties: {
    $id: { type: "string", pattern: "^[^#]*#?$" },
    $schema: TEXT,
    $ref: TEXT,
    $anchor: ANCHOR,
    $dynamicRef: TEXT,
    $dynamicAnchor: ANCHOR,
    $comment: TEXT,
    $defs: SCHEMAS,
    prefixItems: LIST,
    items: SELF,
    contains: SELF,
    additionalProperties: SELF,
    properties: SCHEMAS,
    patternProperties: { type: "object", additionalProperties: SELF, propertyNames: { format: "regex" } },
    dependentSchemas: SCHEMAS,
    propertyNames: SELF,
    if: SELF,
    // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema; nobody awaits a schema.
    then: SELF,
    else: SELF,
    allOf: LIST,
    anyOf: LIST,
    oneOf: LIST,
    not: SELF,
    unevaluatedItems: SELF,
    unevaluatedProperties: SELF,
    type: { anyOf: [{ enum: TYPES }, { type: "array", items: { enum: TYPES }, minItems: 1, uniqueItems: true }] },
    enum: { type: "array" },
    multipleOf: { type: "number", exclusiveMinimum: 0 },
    maximum: NUMBER,
    exclusiveMaximum: NUMBER,
    minimum: NUMBER,
    exclusiveMinimum: NUMBER,
    maxLength: COUNT,
    minLength: COUNT,
    pattern: { type: "string", format: "regex" },
    maxItems: COUNT,
    minItems: COUNT,
    uniqueItems: TRUTH,
    maxContains: COUNT,
    minContains: COUNT,
    maxProperties: COUNT,
    minProperties: COUNT,
    required: NAMES,
    dependentRequired: { type: "object", additionalProperties: NAMES },
    title: TEXT,
    description: TEXT,
    deprecated: TRUTH,
    readOnly: TRUTH,
    writeOnly: TRUTH,
    examples: { type: "array" },
    definitions: SCHEMAS,
    dependencies: { type: "object", additionalProperties: { anyOf: [SELF, NAMES] } },
  },
};

function format(at: Application, rule: unknown): void {
  if (rule !== "regex" || typeof at.value !== "string") return;
  at.spend(at.value.length);
  if (!isPattern(at.value)) at.fail(() => `${pythonText(at.value)} is not a 'regex'`);
}

/** The keywords by which schemas themselves are checked. Only these check formats. */
export const META_KEYWORDS: ReadonlyMap<string, Keyword> = new Map([...KEYWORDS, ["format", format]]);

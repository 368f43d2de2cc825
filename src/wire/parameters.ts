/** Checks parameters and job variables against their JSON Schemas, as leniently as Prefect. */
import { schemaProblem, type SchemaProblem, schemaSteps, validateSchema } from "#lib/json-schema";
import { type JsonSchema, UnusableSchema } from "#lib/json-schema/schema";
import { isObject, pythonText } from "#lib/json-value";
import type { Steps } from "#lib/steps";

/** Which faults a check ignores. */
export interface Leniency {
  /** Absent values are no fault. */
  ignoreRequired?: boolean;
  /** Optional fields may be null even if they have a default. */
  allowNoneWithDefault?: boolean;
}

/** Prefect: `schema_tools.validate`. The fault of the values in Prefect's words, or undefined. Throws `UnusableSchema`. */
export function valuesProblem(
  values: unknown,
  schema: JsonSchema,
  leniency: Leniency = {},
  steps = schemaSteps(),
): string | undefined {
  return checkerFor(schema, leniency, steps)(values);
}

/** Gives a function that checks values by one schema. The schema is checked once. Both checks throw `UnusableSchema`. */
export function checkerFor(
  schema: JsonSchema,
  leniency: Leniency,
  steps: Steps,
): (values: unknown) => string | undefined {
  const repaired = repairSchema(schema, leniency.allowNoneWithDefault ?? false);
  const asked = leniency.ignoreRequired ? withoutRequired(repaired) : repaired;
  const unusable = schemaProblem(asked, steps);
  if (unusable !== undefined) throw new UnusableSchema("invalid", unusable);
  return (values) => firstProblem(values, asked, steps);
}

/** Prefect: `DeploymentCreate`. Gives the fault of the schema, or else the fault of the parameters. */
export function parametersProblem(parameters: unknown, schema: unknown): string | undefined {
  if (!isObject(schema)) return undefined;
  const steps = schemaSteps();
  try {
    const unusable = schemaProblem(schema, steps);
    if (unusable !== undefined) return `The provided schema is not a valid json schema. Schema error: ${unusable}`;
    return parameters === null ? undefined : firstProblem(parameters, withoutRequired(schema), steps);
  } catch (error) {
    if (error instanceof UnusableSchema) return error.message;
    throw error;
  }
}

function firstProblem(values: unknown, schema: JsonSchema, steps: Steps): string | undefined {
  try {
    const problem = validateSchema(values, schema, steps);
    return problem && describe(problem);
  } catch (error) {
    if (error instanceof UnusableSchema && error.reason === "unresolvable")
      return `Validation failed. Failure reason: ${error.message}`;
    throw error;
  }
}

function describe({ path, message }: SchemaProblem): string {
  if (path.length === 0) return `Validation failed. Failure reason: ${message}`;
  const where = `$${path.map(stepText).join("")}`.replaceAll("$.", "");
  return `Validation failed for field ${pythonText(where)}. Failure reason: ${message}`;
}

/** Prefect: `json_path`. Quotes names that are not identifiers. */
function stepText(part: string | number): string {
  if (typeof part === "number") return `[${part}]`;
  if (/^[a-zA-Z][a-zA-Z0-9_]*$/.test(part)) return `.${part}`;
  return `['${part.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}']`;
}

/** Prefect: `preprocess_schema`. Repairs schemas of pydantic 1, and allows references to blocks. */
export function repairSchema(schema: JsonSchema, allowNoneWithDefault = false): JsonSchema {
  const { properties, definitions } = schema;
  return {
    ...schema,
    ...(isObject(properties) && { properties: repairProperties(properties, schema["required"], allowNoneWithDefault) }),
    ...(isObject(definitions) && { definitions: repairDefinitions(definitions, allowNoneWithDefault) }),
  };
}

function repairDefinitions(definitions: JsonSchema, allowNoneWithDefault: boolean): JsonSchema {
  const repaired = new Map(Object.entries(definitions));
  for (const [name, definition] of Object.entries(definitions)) {
    if (!isObject(definition)) continue;
    const { properties, title } = definition;
    const mended = isObject(properties)
      ? { ...definition, properties: repairProperties(properties, definition["required"], allowNoneWithDefault) }
      : definition;
    repaired.set(name, mended);
    const known = typeof title === "string" ? title : name;
    if (Object.hasOwn(definition, "block_type_slug")) repaired.set(known, { oneOf: [mended, BLOCK_REFERENCE] });
  }
  return Object.fromEntries(repaired);
}

const BLOCK_REFERENCE = {
  type: "object",
  properties: {
    $ref: {
      oneOf: [
        { type: "string", format: "uuid" },
        { type: "object", additionalProperties: { type: "string" }, minProperties: 1 },
      ],
    },
  },
  required: ["$ref"],
};

function repairProperties(properties: JsonSchema, required: unknown, allowNoneWithDefault: boolean): JsonSchema {
  const wanted = Array.isArray(required) ? required : [];
  return Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => [
      name,
      isObject(schema) ? repairProperty(schema, !wanted.includes(name), allowNoneWithDefault) : schema,
    ]),
  );
}

/** Keeps the order of the keywords, which is the order of the faults. */
function repairProperty(schema: JsonSchema, isOptional: boolean, allowNoneWithDefault: boolean): JsonSchema {
  const { type, items, properties } = schema;
  const repaired = new Map(Object.entries(schema));
  const hasDefault = Object.hasOwn(schema, "default") && !allowNoneWithDefault;
  if (isOptional && type !== undefined && type !== "null" && !hasDefault) {
    repaired.delete("type");
    repaired.set("anyOf", [{ type }, { type: "null" }]);
  }
  if (Array.isArray(items) && items.length > 0 && !schema["prefixItems"]) {
    repaired.delete("items");
    repaired.set("prefixItems", items);
  }
  if (isObject(properties))
    repaired.set("properties", repairProperties(properties, schema["required"], allowNoneWithDefault));
  return Object.fromEntries(repaired);
}

/** Prefect: `remove_nested_keys`. Removes `required` from nested objects; lists do not change. */
export function withoutRequired(schema: JsonSchema): JsonSchema {
  const entries = Object.entries(schema).filter(([key]) => key !== "required");
  return Object.fromEntries(entries.map(([key, value]) => [key, isObject(value) ? withoutRequired(value) : value]));
}

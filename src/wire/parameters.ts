/** Parameters and job variables against their JSON Schemas, with the original's leniencies. */
import {
  isObject,
  type JsonSchema,
  pythonText,
  schemaProblem,
  type SchemaProblem,
  UnusableSchema,
  validateSchema,
} from "#lib/json-schema";

/** What a check passes over. */
export interface Leniency {
  /** Absent values are no fault. */
  ignoreRequired?: boolean;
  /** Optional fields may be null even where they have a default. */
  allowNoneWithDefault?: boolean;
}

/** Prefect: `schema_tools.validate`. What is wrong with the values, in the original's words, or undefined. */
export function valuesProblem(values: unknown, schema: JsonSchema, leniency: Leniency = {}): string | undefined {
  const repaired = repairSchema(schema, leniency.allowNoneWithDefault ?? false);
  return firstProblem(values, leniency.ignoreRequired ? withoutRequired(repaired) : repaired);
}

/** Prefect: what `DeploymentCreate` says of parameters against a schema, and of the schema itself. */
export function parametersProblem(parameters: unknown, schema: unknown): string | undefined {
  if (!isObject(schema)) return undefined;
  const unusable = schemaProblem(schema);
  if (unusable) return `The provided schema is not a valid json schema. Schema error: ${unusable}`;
  if (parameters === null) return undefined;
  try {
    return firstProblem(parameters, withoutRequired(schema));
  } catch (error) {
    if (error instanceof UnusableSchema) return "Unable to validate schema with circular references.";
    throw error;
  }
}

function firstProblem(values: unknown, schema: JsonSchema): string | undefined {
  try {
    const [problem] = validateSchema(values, schema);
    return problem && describe(problem);
  } catch (error) {
    if (error instanceof UnusableSchema && !error.isCircular)
      return `Validation failed. Failure reason: ${error.message}`;
    throw error;
  }
}

function describe({ path, message }: SchemaProblem): string {
  const where = path.map((part) => (typeof part === "number" ? `[${part}]` : `.${part}`)).join("");
  const field = where.startsWith(".") ? where.slice(1) : `$${where}`;
  return path.length === 0
    ? `Validation failed. Failure reason: ${message}`
    : `Validation failed for field ${pythonText(field)}. Failure reason: ${message}`;
}

/** Prefect: `preprocess_schema`, which mends what pydantic 1 wrote, and lets blocks be named by reference. */
export function repairSchema(schema: JsonSchema, allowNoneWithDefault: boolean): JsonSchema {
  const { properties, definitions } = schema;
  return {
    ...schema,
    ...(isObject(properties) && { properties: repairProperties(properties, schema["required"], allowNoneWithDefault) }),
    ...(isObject(definitions) && { definitions: repairDefinitions(definitions, allowNoneWithDefault) }),
  };
}

function repairDefinitions(definitions: JsonSchema, allowNoneWithDefault: boolean): JsonSchema {
  const repaired: JsonSchema = {};
  for (const [name, definition] of Object.entries(definitions)) {
    repaired[name] = definition;
    if (!isObject(definition)) continue;
    const { properties } = definition;
    const mended = isObject(properties)
      ? { ...definition, properties: repairProperties(properties, definition["required"], allowNoneWithDefault) }
      : definition;
    repaired[name] = mended;
    const { title } = definition;
    const known = typeof title === "string" ? title : name;
    if ("block_type_slug" in definition) repaired[known] = { oneOf: [mended, BLOCK_REFERENCE] };
  }
  return repaired;
}

const BLOCK_REFERENCE = {
  type: "object",
  properties: {
    $ref: {
      oneOf: [{ type: "string" }, { type: "object", additionalProperties: { type: "string" }, minProperties: 1 }],
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

function repairProperty(schema: JsonSchema, isOptional: boolean, allowNoneWithDefault: boolean): JsonSchema {
  const { type, items, properties, ...rest } = schema;
  const mayBeNull =
    isOptional && type !== undefined && type !== "null" && (!("default" in schema) || allowNoneWithDefault);
  const isTuple = Array.isArray(items) && items.length > 0 && !schema["prefixItems"];
  return {
    ...rest,
    ...(mayBeNull ? { anyOf: [{ type }, { type: "null" }] } : type !== undefined && { type }),
    ...(isTuple ? { prefixItems: items } : items !== undefined && { items }),
    ...(isObject(properties)
      ? { properties: repairProperties(properties, schema["required"], allowNoneWithDefault) }
      : properties !== undefined && { properties }),
  };
}

/** Prefect: `remove_nested_keys`, takes `required` away in objects within objects; lists are left as they are. */
export function withoutRequired(schema: JsonSchema): JsonSchema {
  const entries = Object.entries(schema).filter(([key]) => key !== "required");
  return Object.fromEntries(entries.map(([key, value]) => [key, isObject(value) ? withoutRequired(value) : value]));
}

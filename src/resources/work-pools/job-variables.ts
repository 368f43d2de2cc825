/** Job variables against the template of the work pool that runs the job. Pure; a refusal is thrown. */
import { refused, unprocessable } from "#lib/api-error";
import {
  isObject,
  type JsonSchema,
  schemaProblem,
  type SchemaProblem,
  UnusableSchema,
  validateSchema,
} from "#lib/json-schema";

type Variables = Record<string, unknown>;

/** What a caller wants of the check. */
interface Rules {
  /** The variables need not be all there: those of a run may still come. */
  ignoreRequired: boolean;
  /** Defaults that are wrong are left out, for they were there before anybody looked. */
  ignoreInvalidDefaults: boolean;
}

/** Prefect: `validate_job_variable_defaults_for_work_pool`. */
export function validateTemplateDefaults(template: Variables): void {
  const problem = problemOf(template, [], { ignoreRequired: true, ignoreInvalidDefaults: false });
  if (problem !== null) throw unprocessable(`Validation failed for work pool's job variable defaults: ${problem}`);
}

/** Prefect: `validate_job_variables_for_deployment`; `doing` is "creating" or "updating". */
export function validateDeploymentVariables(
  template: Variables,
  variables: Variables | null | undefined,
  doing: string,
): void {
  if (!variables || Object.keys(variables).length === 0) return;
  const problem = problemOf(template, [variables], { ignoreRequired: true, ignoreInvalidDefaults: true });
  if (problem !== null) throw unprocessable(`Error ${doing} deployment: ${problem}`);
}

/** Prefect: `validate_job_variables_for_deployment_flow_run`; the run's variables go over the deployment's. */
export function validateRunVariables(
  template: Variables,
  deploymentVariables: Variables | null | undefined,
  runVariables: Variables | null | undefined,
  doing: string,
): void {
  const given = [deploymentVariables ?? {}, runVariables ?? {}];
  const problem = problemOf(template, given, { ignoreRequired: false, ignoreInvalidDefaults: true });
  if (problem !== null) throw unprocessable(`Error ${doing} flow run: ${problem}`);
}

function problemOf(template: Variables, given: readonly Variables[], rules: Rules): string | null {
  const schema = template["variables"];
  if (!isObject(schema) || Object.keys(schema).length === 0) return null;
  const invalid = schemaProblem(schema);
  if (invalid !== undefined) throw unprocessable(`Invalid schema: ${invalid}`);
  const { defaults, left } = defaultsOf(schema, rules.ignoreInvalidDefaults);
  const asked = acceptNulls(schema, true);
  const ignoreRequired = rules.ignoreRequired || left;
  return worst(Object.assign(defaults, ...given), ignoreRequired ? withoutRequired(asked) : asked);
}

/** The defaults of the variables, and whether some were left out as wrong. */
function defaultsOf(schema: JsonSchema, ignoreInvalid: boolean): { defaults: Variables; left: boolean } {
  const properties = isObject(schema["properties"]) ? schema["properties"] : {};
  const lenient = withoutRequired(schema);
  const defaults: Variables = {};
  let left = false;
  for (const [name, attributes] of Object.entries(properties)) {
    if (!isObject(attributes) || !("default" in attributes)) continue;
    const value = attributes["default"];
    if (namesBlock(value)) throw refused(404, "Block not found.");
    if (isObject(value) && "$ref" in value) continue;
    if (ignoreInvalid && validateSchema({ [name]: value }, lenient).length > 0) left = true;
    else defaults[name] = value;
  }
  return { defaults, left };
}

/** Prefect: a default may name a block document, whose data then counts. This server has no blocks, so none is found. */
function namesBlock(value: unknown): boolean {
  return isObject(value) && isObject(value["$ref"]) && (value["$ref"]["block_document_id"] ?? null) !== null;
}

/** Prefect: `_fix_null_typing`, `_fix_tuple_items`: schemas of Pydantic 1 do not say that an optional value may be null. */
export function acceptNulls(schema: JsonSchema, evenWithDefault: boolean): JsonSchema {
  const fixed = { ...schema };
  if (isObject(schema["properties"]))
    fixed["properties"] = fixProperties(schema["properties"], schema["required"], evenWithDefault);
  if (isObject(schema["definitions"])) {
    const definitions = Object.entries(schema["definitions"]).map(([name, definition]) => [
      name,
      fixDefinition(definition, evenWithDefault),
    ]);
    fixed["definitions"] = Object.fromEntries(definitions);
  }
  return fixed;
}

function fixDefinition(definition: unknown, evenWithDefault: boolean): unknown {
  if (!isObject(definition)) return definition;
  const fixed = isObject(definition["properties"])
    ? { ...definition, properties: fixProperties(definition["properties"], definition["required"], evenWithDefault) }
    : definition;
  return "block_type_slug" in definition ? { oneOf: [fixed, BLOCK_REFERENCE] } : fixed;
}

/** Prefect: a block's place may be taken by a reference to one. */
const BLOCK_REFERENCE = {
  type: "object",
  properties: {
    $ref: {
      oneOf: [{ type: "string" }, { type: "object", additionalProperties: { type: "string" }, minProperties: 1 }],
    },
  },
  required: ["$ref"],
};

function fixProperties(
  properties: Record<string, unknown>,
  required: unknown,
  evenWithDefault: boolean,
): Record<string, unknown> {
  const needed = new Set(Array.isArray(required) ? required : []);
  return Object.fromEntries(
    Object.entries(properties).map(([name, property]) => {
      if (!isObject(property)) return [name, property];
      const { type, items, ...rest } = property;
      const fixed: JsonSchema = { ...rest };
      const mayBeNull =
        !needed.has(name) && type !== undefined && type !== "null" && (!("default" in property) || evenWithDefault);
      if (mayBeNull) fixed["anyOf"] = [{ type }, { type: "null" }];
      else if (type !== undefined) fixed["type"] = type;
      if (Array.isArray(items) && items.length > 0 && !property["prefixItems"]) fixed["prefixItems"] = items;
      else if (items !== undefined) fixed["items"] = items;
      if (isObject(property["properties"])) {
        fixed["properties"] = fixProperties(property["properties"], property["required"], evenWithDefault);
      }
      return [name, fixed];
    }),
  );
}

/** Prefect: `remove_nested_keys`; goes into objects, not into lists. */
function withoutRequired(schema: JsonSchema): JsonSchema {
  const entries = Object.entries(schema).filter(([key]) => key !== "required");
  return Object.fromEntries(entries.map(([key, value]) => [key, isObject(value) ? withoutRequired(value) : value]));
}

/** The one problem that is told, in the words of the original, or null. */
function worst(variables: Variables, schema: JsonSchema): string | null {
  const problems = findProblems(variables, schema);
  if (typeof problems === "string") return problems;
  const [problem] = problems.toSorted(byRelevance);
  if (!problem) return null;
  const where = problem.path.length === 0 ? "." : ` for field '${printPath(problem.path)}'.`;
  return `Validation failed${where} Failure reason: ${problem.message}`;
}

function findProblems(variables: Variables, schema: JsonSchema): SchemaProblem[] | string {
  try {
    return validateSchema(variables, schema);
  } catch (error) {
    if (error instanceof UnusableSchema) return `Validation failed. Failure reason: ${error.message}`;
    throw error;
  }
}

/** Prefect: jsonschema's `best_match`, the least deep; of these, the last by its path. */
function byRelevance(a: SchemaProblem, b: SchemaProblem): number {
  if (a.path.length !== b.path.length) return a.path.length - b.path.length;
  const step = a.path.findIndex((part, index) => part !== b.path[index]);
  if (step === -1) return 0;
  return String(a.path[step]) > String(b.path[step]) ? -1 : 1;
}

function printPath(path: readonly (string | number)[]): string {
  return path
    .map((part, index) => (typeof part === "number" ? `[${part}]` : `${index > 0 ? "." : ""}${part}`))
    .join("");
}

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
import { repairSchema, withoutRequired } from "#wire/parameters";

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
  const asked = repairSchema(schema, true);
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

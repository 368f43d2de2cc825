/** Checks base job templates, and checks job variables by the template of the work pool that runs the job. Pure. Throws refusals. */
import { unprocessable } from "#lib/api-error";
import { schemaProblem, schemaSteps, validateSchema } from "#lib/json-schema";
import { type JsonSchema, UnusableSchema } from "#lib/json-schema/schema";
import { isObject } from "#lib/json-value";
import type { Steps } from "#lib/steps";
import { valuesProblem, withoutRequired } from "#wire/parameters";

type Variables = Record<string, unknown>;

const PLACEHOLDER = /\{\{\s*([\p{L}\p{N}_.\-[\]$]+)\s*\}\}/gu;

/** Prefect: `validate_base_job_template`. Gives the fault of the template, or null. */
export function templateProblem(template: Variables): string | null {
  if (Object.keys(template).length === 0) return null;
  const { job_configuration: configuration, variables } = template;
  if (!isFilled(configuration) || !isFilled(variables)) {
    return "The `base_job_template` must contain both a `job_configuration` key and a `variables` key.";
  }
  const declared = isFilled(variables["properties"]) ? variables["properties"] : {};
  const missing = [...placeholders(configuration)].filter((name) => !Object.hasOwn(declared, name));
  if (missing.length === 0) return null;
  return (
    "The variables specified in the job configuration template must be present as properties in the variables schema. " +
    `Your job configuration uses the following undeclared variable(s): ${missing.join(" ,")}.`
  );
}

function placeholders(configuration: Record<string, unknown>): Set<string> {
  const found = JSON.stringify(configuration).matchAll(PLACEHOLDER);
  return new Set([...found].map((match) => match[1] ?? ""));
}

function isFilled(value: unknown): value is Variables {
  return isObject(value) && Object.keys(value).length > 0;
}

/** The options of a check. */
interface Rules {
  /** Required variables may be absent, because a run may still give them. */
  ignoreRequired: boolean;
  /** Wrong defaults are left out. They may be older than the check. */
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

/** Prefect: `validate_job_variables_for_deployment_flow_run`; the run's variables replace the deployment's. */
export function validateRunVariables(
  template: Variables,
  deploymentVariables: Variables | null | undefined,
  runVariables: Variables | null | undefined,
  doing: string,
  steps = schemaSteps(),
): void {
  const given = [deploymentVariables ?? {}, runVariables ?? {}];
  const problem = problemOf(template, given, { ignoreRequired: false, ignoreInvalidDefaults: true }, steps);
  if (problem !== null) throw unprocessable(`Error ${doing} flow run: ${problem}`);
}

function problemOf(
  template: Variables,
  given: readonly Variables[],
  rules: Rules,
  steps = schemaSteps(),
): string | null {
  const schema = template["variables"];
  if (!isFilled(schema)) return null;
  try {
    const invalid = schemaProblem(schema, steps);
    if (invalid !== undefined) throw new UnusableSchema("invalid", invalid);
    const { defaults, left } = defaultsOf(schema, rules.ignoreInvalidDefaults, steps);
    const variables = given.reduce((all, some) => ({ ...all, ...some }), defaults);
    const leniency = { ignoreRequired: rules.ignoreRequired || left, allowNoneWithDefault: true };
    return valuesProblem(variables, schema, leniency, steps) ?? null;
  } catch (error) {
    if (error instanceof UnusableSchema) throw unprocessable(`Invalid schema: ${error.message}`);
    throw error;
  }
}

/** The defaults of the variables, and whether wrong defaults were left out. */
function defaultsOf(schema: JsonSchema, ignoreInvalid: boolean, steps: Steps): { defaults: Variables; left: boolean } {
  const properties = isObject(schema["properties"]) ? schema["properties"] : {};
  const lenient = withoutRequired(schema);
  const defaults = new Map<string, unknown>();
  let left = false;
  for (const [name, attributes] of Object.entries(properties)) {
    if (!isObject(attributes) || !Object.hasOwn(attributes, "default")) continue;
    const value = attributes["default"];
    if (isObject(value) && Object.hasOwn(value, "$ref")) continue;
    if (ignoreInvalid && validateSchema({ [name]: value }, lenient, steps)) left = true;
    else defaults.set(name, value);
  }
  return { defaults: Object.fromEntries(defaults), left };
}

/** The id of the block document that a default names, or null. `block-defaults.ts` replaces such defaults before a check. */
export function namedBlock(value: unknown): unknown {
  return isObject(value) && isObject(value["$ref"]) ? (value["$ref"]["block_document_id"] ?? null) : null;
}

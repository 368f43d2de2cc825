/** Values that stand for others (`__prefect_kind`): JSON text, and variables of the workspace. Pure. */
import { jsonError } from "#lib/json-problem";
import { isObject } from "#lib/json-value";

/** A value that cannot be made out; its message is for the client. */
export class HydrationError extends Error {}

/** Stands for a value that is left out of what is around it. */
const REMOVED = Symbol("removed");

/** The names of the variables that a value stands for. */
export function variableNames(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(variableNames);
  if (!isObject(value)) return [];
  const own = value["__prefect_kind"] === "workspace_variable" ? ownName(value["variable_name"]) : [];
  return [...own, ...Object.values(value).flatMap(variableNames)];
}

/** A name may itself be written as JSON text. One that takes a variable to find out is not known yet. */
function ownName(name: unknown): string[] {
  try {
    const known = inner(name, new Map());
    return typeof known === "string" ? [known] : [];
  } catch (error) {
    if (error instanceof HydrationError) return [];
    throw error;
  }
}

/** Prefect: `hydrate`. The values with everything in its place that was only referred to. */
export function hydrate(
  value: Record<string, unknown>,
  variables: ReadonlyMap<string, unknown>,
): Record<string, unknown> {
  const hydrated = hydrateValue(value, variables);
  return isObject(hydrated) ? hydrated : {};
}

function hydrateValue(value: unknown, variables: ReadonlyMap<string, unknown>): unknown {
  if (Array.isArray(value))
    return value.map((item) => hydrateValue(item, variables)).filter((item) => item !== REMOVED);
  if (!isObject(value)) return value;
  if ("__prefect_kind" in value) return resolve(value, variables);
  const entries = Object.entries(value).map(([key, item]): [string, unknown] => [key, hydrateValue(item, variables)]);
  return Object.fromEntries(entries.filter(([, item]) => item !== REMOVED));
}

function resolve(value: Record<string, unknown>, variables: ReadonlyMap<string, unknown>): unknown {
  switch (value["__prefect_kind"]) {
    case "none":
      if (!("value" in value)) throw new HydrationError("Missing 'value' key in __prefect object");
      return hydrateValue(value["value"], variables);
    case "json":
      return "value" in value ? readText(inner(value["value"], variables)) : REMOVED;
    case "workspace_variable":
      return "variable_name" in value ? readVariable(inner(value["variable_name"], variables), variables) : REMOVED;
    case "jinja":
      if (!("template" in value)) throw new HydrationError("Missing 'template' key in __prefect object");
      return renderPlain(inner(value["template"], variables));
    default:
      return value["value"] ?? null;
  }
}

/** Prefect: what is inside is looked into only where it is an object. */
const inner = (value: unknown, variables: ReadonlyMap<string, unknown>) =>
  isObject(value) ? hydrateValue(value, variables) : value;

function readText(value: unknown): unknown {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch {
    throw new HydrationError(`Invalid JSON: ${jsonError(value)}`);
  }
}

function readVariable(name: unknown, variables: ReadonlyMap<string, unknown>): unknown {
  if (name === REMOVED) return REMOVED;
  if (typeof name === "string" && variables.has(name)) return variables.get(name);
  throw new HydrationError(`Variable '${String(name)}' not found in workspace.`);
}

/** A template without expressions is its own text; others need a renderer, which this server does not have for parameters. */
function renderPlain(template: unknown): unknown {
  if (template === REMOVED) return REMOVED;
  if (typeof template === "string" && !/\{\{|\{%|\{#/.test(template)) return template;
  throw new HydrationError("Invalid jinja: this server does not render templates in parameters.");
}

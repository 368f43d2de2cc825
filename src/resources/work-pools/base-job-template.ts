/** What a base job template has to look like. Pure. */

const PLACEHOLDER = /\{\{\s*([\p{L}\p{N}_.\-[\]$]+)\s*\}\}/gu;

type Template = Record<string, unknown>;

/** Prefect: `validate_base_job_template`. What is wrong with it, or null. */
export function templateProblem(template: Template): string | null {
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

function isFilled(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length > 0;
}

function placeholders(configuration: Record<string, unknown>): Set<string> {
  const found = JSON.stringify(configuration).matchAll(PLACEHOLDER);
  return new Set([...found].map((match) => match[1] ?? ""));
}

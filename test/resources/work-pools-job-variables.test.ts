import { describe, expect, test } from "vitest";
import { ApiError } from "#lib/api-error";
import { parseJson } from "#lib/json";
import {
  templateProblem,
  validateDeploymentVariables,
  validateRunVariables,
  validateTemplateDefaults,
} from "#resources/work-pools/job-variables";

type Json = Record<string, unknown>;

const template = (properties: Json, more: Json = {}) => ({
  job_configuration: { command: "ls" },
  variables: { type: "object", properties, ...more },
});

/** The `detail` of the refusal, or null. */
function refusal(check: () => void): unknown {
  try {
    check();
    return null;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return (error.body as { detail: unknown }).detail;
  }
}

describe("defaults of a template", () => {
  const PREFIX = "Validation failed for work pool's job variable defaults: ";
  test.for<{ name: string; template: Json; detail: string | null }>([
    { name: "none at all", template: {}, detail: null },
    { name: "right", template: template({ a: { type: "string", default: "x" } }), detail: null },
    {
      name: "wrong",
      template: template({ a: { type: "integer", minimum: 3, default: 1 } }),
      detail: `${PREFIX}Validation failed for field 'a'. Failure reason: 1 is less than the minimum of 3`,
    },
    {
      name: "null, which Pydantic 1 does not declare",
      template: template({ a: { type: "string", default: null } }),
      detail: null,
    },
    {
      name: "null where it is required",
      template: template({ a: { type: "string", default: null } }, { required: ["a"] }),
      detail: `${PREFIX}Validation failed for field 'a'. Failure reason: None is not of type 'string'`,
    },
    {
      name: "of a schema that is none",
      template: template({ a: { type: "strung" } }),
      detail: "Invalid schema: 'strung' is not valid under any of the given schemas",
    },
  ])("$name", ({ template: given, detail }) => {
    const told = refusal(() => validateTemplateDefaults(given));
    expect(told).toBe(detail);
  });
});

describe("variables of deployments and runs", () => {
  const given = template({ image: { type: "string" }, cpus: { type: "integer", default: 1 } }, { required: ["image"] });

  test("a deployment may lack required variables, and its runs may set them", () => {
    expect(refusal(() => validateDeploymentVariables(given, { cpus: 2 }, "creating"))).toBeNull();
    expect(refusal(() => validateDeploymentVariables(given, null, "creating"))).toBeNull();
  });

  test("invalid variables of a deployment are refused", () => {
    expect(refusal(() => validateDeploymentVariables(given, { cpus: "two" }, "updating"))).toBe(
      "Error updating deployment: Validation failed for field 'cpus'. Failure reason: 'two' is not valid under any of the given schemas",
    );
  });

  test("a run must have all required variables, together with its deployment", () => {
    expect(refusal(() => validateRunVariables(given, {}, {}, "creating"))).toBe(
      "Error creating flow run: Validation failed. Failure reason: 'image' is a required property",
    );
    expect(refusal(() => validateRunVariables(given, { image: "a" }, {}, "creating"))).toBeNull();
  });

  test("the variables of a run override those of its deployment", () => {
    expect(refusal(() => validateRunVariables(given, { image: 7 }, { image: "a" }, "creating"))).toBeNull();
    expect(refusal(() => validateRunVariables(given, { image: "a" }, { image: 7 }, "creating"))).toBe(
      "Error creating flow run: Validation failed for field 'image'. Failure reason: 7 is not of type 'string'",
    );
  });

  test("if a default is invalid, defaults and required variables are not checked", () => {
    const flawed = template(
      { image: { type: "string" }, cpus: { type: "integer", default: "x" } },
      { required: ["image"] },
    );
    expect(refusal(() => validateRunVariables(flawed, {}, {}, "creating"))).toBeNull();
  });
});

test("the names of JavaScript's own properties are ordinary variables", () => {
  const named = template(
    parseJson('{"__proto__":{"type":"integer","default":1},"constructor":{"type":"string"}}') as Json,
  );
  const given = (text: string) => parseJson(text) as Json;
  expect(refusal(() => validateDeploymentVariables(named, given('{"__proto__":2}'), "creating"))).toBeNull();
  expect(refusal(() => validateDeploymentVariables(named, given('{"__proto__":"a"}'), "creating"))).toContain(
    "Failure reason: 'a' is not valid under any of the given schemas",
  );
  expect(refusal(() => validateDeploymentVariables(named, given('{"constructor":1}'), "creating"))).toContain(
    "1 is not",
  );
  const declared = { variables: { properties: { a: {} } }, job_configuration: { command: "{{ toString }}" } };
  expect(templateProblem(declared)).toContain("undeclared variable(s): toString.");
});

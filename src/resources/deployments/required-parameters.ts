/** Schedules whose runs could only fail: a required parameter has no value. */
import { readJson, readOptionalJson } from "#db/database";
import { unprocessable } from "#lib/api-error";
import { isObject } from "#lib/json-value";
import type { DeploymentColumns, ScheduleRow } from "#resources/deployments/store";

/** The columns of a deployment that its runs get parameters by. */
type Parameters = Pick<DeploymentColumns, "parameters" | "parameter_openapi_schema" | "enforce_parameter_schema">;

/** The columns of a schedule that its runs get parameters by. */
export type ScheduleParameters = Pick<ScheduleRow, "active" | "parameters">;

/** The required parameters that have no value in the schedule's runs. None where the deployment does not enforce its schema. */
export function missingParameters(deployment: Parameters, schedule: Pick<ScheduleParameters, "parameters">): string[] {
  if (deployment.enforce_parameter_schema !== 1) return [];
  const schema = readOptionalJson<unknown>(deployment.parameter_openapi_schema);
  if (!isObject(schema) || !Array.isArray(schema["required"])) return [];
  const properties = isObject(schema["properties"]) ? schema["properties"] : {};
  const given = {
    ...readJson<Record<string, unknown>>(deployment.parameters),
    ...readJson<Record<string, unknown>>(schedule.parameters),
  };
  return schema["required"].filter((name): name is string => {
    if (typeof name !== "string" || Object.hasOwn(given, name)) return false;
    const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
    return !(isObject(property) && "default" in property);
  });
}

/** Throws 422 where an active schedule would make runs without a value for a required parameter; names the parameters. */
export function checkParameters(deployment: Parameters, schedules: readonly ScheduleParameters[]): void {
  const missing = new Set(
    schedules.filter(({ active }) => active === 1).flatMap((schedule) => missingParameters(deployment, schedule)),
  );
  if (missing.size === 0) return;
  const names = [...missing].map((name) => `'${name}'`).join(", ");
  throw unprocessable(
    `The deployment cannot be scheduled: required parameters have no value: ${names}.` +
      " Give them a default, set them in the deployment's or the schedule's parameters, or make the schedule inactive.",
  );
}

/** The criteria of a deployment's schedules. */
import type * as z from "zod";
import { deployment_schedule } from "#db/tables/deployment";
import { combinable, flagIs, group } from "./clause";

export const deploymentScheduleFilter = combinable("DeploymentScheduleFilter", {
  active: group("DeploymentScheduleFilterActive", { eq_: flagIs(deployment_schedule.active) }),
});

export const DeploymentScheduleFilter = deploymentScheduleFilter.schema;
export type DeploymentScheduleFilter = z.output<typeof DeploymentScheduleFilter>;

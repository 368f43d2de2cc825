/** Rows of deployments and of their schedules, as several stores write and show them. */
import { codec } from "#db/codec";
import { deployment, deployment_schedule } from "#db/tables/deployment";

export type DeploymentColumns = typeof deployment.$inferSelect;
export type ScheduleRow = typeof deployment_schedule.$inferSelect;

/** Shows, makes and changes rows of deployments. */
export const deployments = codec(deployment, {
  // `reliability` has its own route, and `global_concurrency_limit` shows the limit.
  omit: ["workspace_id", "concurrency_limit_id", "reliability"],
  preset: { status: "NOT_READY", parameter_openapi_schema: "{}", enforce_parameter_schema: 1, pull_steps: "[]" },
});

/** Shows, makes and changes rows of schedules. */
export const schedules = codec(deployment_schedule, {
  // Answers show `missed_runs` only if it is set.
  omit: ["workspace_id", "scheduled_until", "top_up_at", "missed_runs"],
});

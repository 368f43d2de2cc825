/** Schedules of a deployment as rows. */
import type { ScheduleRow } from "#resources/deployments/store";
import type { DeploymentScheduleCreate } from "#resources/deployments/schema";
import type { Tools } from "#tools";
import { settleSchedule } from "#wire/schedule";

/** A schedule to be, as bodies have it; `replaces` is a word to the server and not kept. */
export type ScheduleWish = Omit<DeploymentScheduleCreate, "replaces">;

/** New schedules of a deployment. Each is a little younger than the one before it; lists show the youngest first. */
export function scheduleRows(
  tools: Tools,
  deploymentId: string,
  wishes: readonly ScheduleWish[],
  isPaused: boolean,
): ScheduleRow[] {
  return wishes.map((wish) => {
    const now = tools.clock();
    return {
      workspace_id: tools.workspaceId,
      deployment_id: deploymentId,
      id: tools.ids.random(),
      created: now,
      updated: now,
      schedule: JSON.stringify(settleSchedule(wish.schedule, now)),
      active: wish.active ? 1 : 0,
      max_scheduled_runs: wish.max_scheduled_runs ?? null,
      parameters: JSON.stringify(wish.parameters),
      slug: wish.slug ?? null,
      scheduled_until: null,
      top_up_at: wish.active && !isPaused ? now : null,
    };
  });
}

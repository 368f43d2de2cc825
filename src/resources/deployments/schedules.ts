/** Schedules of a deployment as rows. */
import type { ScheduleRow } from "#resources/deployments/store";
import type { DeploymentScheduleCreate } from "#resources/deployments/schema";
import type { Tools } from "#tools";
import { missedRunsColumn } from "#wire/missed-runs";
import { settleSchedule } from "#wire/schedule";

/** A schedule to be, as bodies have it; `replaces` is a word to the server and not kept. */
export type ScheduleWish = Omit<DeploymentScheduleCreate, "replaces">;

/** The deployment as it is, or is to be. */
export interface Around {
  isPaused: boolean;
  /** The schedules that the new ones replace. */
  before?: readonly ScheduleRow[];
}

/** New schedules of a deployment. Each is a little younger than the one before it; lists show the youngest first. */
export function scheduleRows(
  tools: Tools,
  deploymentId: string,
  wishes: readonly ScheduleWish[],
  { isPaused, before = [] }: Around,
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
      scheduled_until: now,
      top_up_at: wish.active && !isPaused ? now : null,
      missed_runs: wish.missed_runs === undefined ? keptPolicy(wish, before) : missedRunsColumn(wish.missed_runs),
    };
  });
}

/** Stock clients do not know the policy, and replace all schedules when they deploy: it stays with the slug. */
function keptPolicy({ slug }: ScheduleWish, before: readonly ScheduleRow[]): string | null {
  return (slug && before.find((row) => row.slug === slug)?.missed_runs) || null;
}

/** Prefect: clients before API 0.8.3 expect a retried flow's failed task runs to wait for their retry as well. */
import { sql } from "drizzle-orm";
import { task_run } from "#db/tables/task-run";
import type { Micros } from "#lib/clock";
import { setTaskRunState } from "#orchestration/set-task-run-state";
import type { Tools } from "#tools";

/** Sets the failed task runs of a flow run to AwaitingRetry, and their counts back to none. */
export async function retryFailedTaskRuns(tools: Tools, flowRunId: string, scheduledTime: Micros): Promise<void> {
  const failed = await tools.db.rows<{ id: string }>(
    sql`select id from ${task_run} where workspace_id = ${tools.workspaceId} and flow_run_id = ${flowRunId} and state_type = 'FAILED'`,
  );
  for (const { id } of failed) {
    await setTaskRunState(
      tools,
      id,
      { type: "SCHEDULED", name: "AwaitingRetry", state_details: { scheduled_time: scheduledTime } },
      { force: true },
    );
  }
  await tools.db.run(
    sql`update ${task_run} set run_count = 0
      where workspace_id = ${tools.workspaceId} and id in (select value from json_each(${JSON.stringify(failed.map(({ id }) => id))}))`,
  );
}

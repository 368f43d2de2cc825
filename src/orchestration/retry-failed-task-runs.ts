/** Prefect: clients before API 0.8.3 expect a retried flow's failed task runs to wait for their retry as well. */
import { sql } from "drizzle-orm";
import type { Micros } from "#lib/clock";
import { moveTaskRuns } from "#orchestration/move-task-runs";
import type { Tools } from "#tools";

/** Sets the failed task runs of a flow run to AwaitingRetry, and their counts back to none. */
export async function retryFailedTaskRuns(tools: Tools, flowRunId: string, scheduledTime: Micros): Promise<void> {
  await moveTaskRuns(tools, flowRunId, {
    from: sql.raw("('FAILED')"),
    proposal: { type: "SCHEDULED", name: "AwaitingRetry", state_details: { scheduled_time: scheduledTime } },
    changes: { run_count: 0 },
  });
}

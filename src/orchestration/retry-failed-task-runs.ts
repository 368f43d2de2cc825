/** Prefect: a client before API 0.8.3 expects that the failed task runs of a retried flow run become AwaitingRetry too. */
import { sql } from "drizzle-orm";
import type { Micros } from "#lib/clock";
import { moveTaskRuns } from "#orchestration/move-task-runs";
import type { Tools } from "#tools";

/** Makes the failed task runs of a flow run AwaitingRetry, and sets their run counts to 0. */
export async function retryFailedTaskRuns(tools: Tools, flowRunId: string, scheduledTime: Micros): Promise<void> {
  await moveTaskRuns(tools, flowRunId, {
    from: sql.raw("('FAILED')"),
    proposal: { type: "SCHEDULED", name: "AwaitingRetry", state_details: { scheduled_time: scheduledTime } },
    changes: { run_count: 0 },
  });
}

/** Scheduled runs that were not started in time become Late. */
import { sql } from "drizzle-orm";
import { flow_run } from "#db/tables/flow-run";
import { ApiError } from "#lib/api-error";
import type { Micros } from "#lib/clock";
import { MarkLateRunsPolicy } from "#orchestration/policies";
import { setFlowRunState } from "#orchestration/set-flow-run-state";
import type { Tools } from "#tools";
import { each } from "#db/sql";

const SECOND: Micros = 1_000_000;
/** How many runs are marked side by side. */
const LANES = 4;

interface OverdueRun {
  id: string;
  due: Micros;
}

/**
 * Marks those of these runs late that are overdue and have not been seen to yet: Scheduled by type and by name, for so
 * long as the settings say. Done twice, or twice at once, each is marked once. A run that cannot be marked does not keep
 * the others from it; the last such failure is thrown at the end.
 */
export async function markLate(tools: Tools, flowRunIds: readonly string[]): Promise<void> {
  if (flowRunIds.length === 0) return;
  const until = tools.clock() - tools.settings.services.late_runs.after_seconds * SECOND;
  const overdue = await tools.db.rows<OverdueRun>(selectOverdue(tools.workspaceId, flowRunIds, until));
  const waiting = overdue.values();
  // The lanes share what waits, so that none of them stands still while there is something to do.
  const lanes = await Promise.allSettled(Array.from({ length: LANES }, () => markEach(tools, waiting)));
  for (const lane of lanes) if (lane.status === "rejected") throw lane.reason;
}

async function markEach(tools: Tools, waiting: Iterable<OverdueRun>): Promise<void> {
  const failures: unknown[] = [];
  for (const run of waiting) {
    try {
      await markOne(tools, run);
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures.at(-1);
}

async function markOne(tools: Tools, { id, due }: OverdueRun): Promise<void> {
  try {
    const late = { type: "SCHEDULED", name: "Late", state_details: { scheduled_time: due } } as const;
    await setFlowRunState(tools, id, late, { policy: MarkLateRunsPolicy });
  } catch (error) {
    // The run was deleted in the meantime.
    if (!(error instanceof ApiError && error.status === 404)) throw error;
  }
}

function selectOverdue(workspaceId: string, ids: readonly string[], until: Micros) {
  return sql`select ${flow_run.id}, ${flow_run.next_scheduled_start_time} as due
    from ${each(ids)} asked
    join ${flow_run} on ${flow_run.workspace_id} = ${workspaceId} and ${flow_run.id} = asked.value
    where ${flow_run.state_type} = 'SCHEDULED' and ${flow_run.state_name} = 'Scheduled'
      and ${flow_run.next_scheduled_start_time} <= ${until}
    order by ${flow_run.next_scheduled_start_time}`;
}

/** Scheduled runs that have not started in time become Late. */
import { sql } from "drizzle-orm";
import { flow_run } from "#db/tables/flow-run";
import { type Micros, SECOND } from "#lib/clock";
import { MarkLateRunsPolicy } from "#orchestration/policies";
import { setStateUnlessDeleted } from "#orchestration/set-flow-run-state";
import type { Tools } from "#tools";
import { each } from "#db/sql";

/** How many runs are marked at the same time. */
const LANES = 4;

interface UnstartedRun {
  id: string;
  due: Micros;
}

/**
 * Makes a run Late if the run is overdue according to the settings, and its state is still SCHEDULED with the name Scheduled. A repeated
 * or concurrent call marks no run twice. If a run cannot be marked, the others are marked, and the last failure is thrown at the end.
 */
export async function markLate(tools: Tools, flowRunIds: readonly string[]): Promise<void> {
  if (flowRunIds.length === 0) return;
  const until = tools.clock() - tools.settings.services.late_runs.after_seconds * SECOND;
  const overdue = await tools.db.rows<UnstartedRun>(selectOverdue(tools.workspaceId, flowRunIds, until));
  const waiting = overdue.values();
  // The lanes share one iterator, so that no lane is idle while runs wait.
  const lanes = await Promise.allSettled(Array.from({ length: LANES }, () => markEach(tools, waiting)));
  for (const lane of lanes) if (lane.status === "rejected") throw lane.reason;
}

async function markEach(tools: Tools, waiting: Iterable<UnstartedRun>): Promise<void> {
  const failures: unknown[] = [];
  for (const { id, due } of waiting) {
    const late = { type: "SCHEDULED", name: "Late", state_details: { scheduled_time: due } } as const;
    try {
      await setStateUnlessDeleted(tools, id, late, { policy: MarkLateRunsPolicy });
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures.at(-1);
}

function selectOverdue(workspaceId: string, ids: readonly string[], until: Micros) {
  return sql`select ${flow_run.id}, ${flow_run.next_scheduled_start_time} as due
    from ${each(ids)} asked
    join ${flow_run} on ${flow_run.workspace_id} = ${workspaceId} and ${flow_run.id} = asked.value
    where ${flow_run.state_type} = 'SCHEDULED' and ${flow_run.state_name} = 'Scheduled'
      and ${flow_run.next_scheduled_start_time} <= ${until}
    order by ${flow_run.next_scheduled_start_time}`;
}

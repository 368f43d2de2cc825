/** Runs that were not started in time: they are marked late, or skipped if their schedule says so. */
import { sql, type SQL } from "drizzle-orm";
import { flow_run } from "#db/tables/flow-run";
import { type Micros, SECOND } from "#lib/clock";
import { MarkLateRunsPolicy, CoreFlowPolicy, onlyWhile } from "#orchestration/policies";
import { setStateUnlessDeleted } from "#orchestration/set-flow-run-state";
import type { Tools } from "#tools";
import { createdByField } from "#db/short/created-by";
import { each, jsonValue } from "#db/sql";
import type { FlowRunRow } from "#db/rows/flow-runs";
import { deployment_schedule } from "#db/tables/deployment";
import type { FlowRunContext } from "#orchestration/transition";
import { printTime } from "#wire/dates";
import { LEAST_WINDOW_SECONDS, type MissedRuns } from "#wire/deployments";
import { log } from "#lib/log";

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

/** A missed run that becomes Skipped. */
export interface MissedRun {
  id: string;
  due: Micros;
  policy: Exclude<MissedRuns["policy"], "all">;
  window_seconds: number;
}

/** The columns of a `MissedRun` in SQL, over the run `r` and its schedule `s`. */
export const MISSED_RUN = sql`r.id, r.next_scheduled_start_time as due,
  ${jsonValue("s.missed_runs", "$.policy")} as policy, ${jsonValue("s.missed_runs", "$.window_seconds")} as window_seconds`;

/** Joins the schedule `s` that created the run `r`, if the schedule has a policy for missed runs. */
export const JOIN_SCHEDULE = sql`join ${deployment_schedule} s on s.workspace_id = r.workspace_id
  and s.deployment_id = r.deployment_id and s.id = ${createdByField(sql.raw("r.created_by"), "id")} and s.missed_runs is not null`;

/**
 * The condition that the run `r` of the schedule `s` becomes Skipped: it is overdue by more than the window, and it has
 * never run. With the policy `latest`, a later run of the schedule, in any state, must be due too.
 */
export function isMissed(now: Micros): SQL {
  return sql`r.auto_scheduled = 1 and r.state_type = 'SCHEDULED' and r.state_name <> 'AwaitingConcurrencySlot' and r.run_count = 0
    and r.next_scheduled_start_time + ${jsonValue("s.missed_runs", "$.window_seconds")} * ${SECOND} < ${now}
    and (${jsonValue("s.missed_runs", "$.policy")} = 'skip' or exists (
      select 1 from ${flow_run} n where n.workspace_id = r.workspace_id and n.deployment_id = r.deployment_id
        and coalesce(n."start_time", n."expected_start_time") > r.expected_start_time
        and coalesce(n."start_time", n."expected_start_time") <= ${now}
        and n.expected_start_time > r.expected_start_time and ${createdByField(sql.raw("n.created_by"), "id")} = s.id))`;
}

/** The columns of a run that a poll has read. */
type Offered = Pick<FlowRunRow, "id" | "auto_scheduled" | "run_count" | "next_scheduled_start_time">;

/**
 * Makes the missed runs Skipped, and returns the other runs. So a poll gives no missed run to a worker, even before the
 * sweep has found the run. Reads nothing unless a run is long overdue.
 */
export async function withoutMissed<Run extends Offered>(tools: Tools, runs: readonly Run[]): Promise<Run[]> {
  const now = tools.clock();
  const latest = now - LEAST_WINDOW_SECONDS * SECOND;
  const overdue = runs.filter(
    ({ auto_scheduled, run_count, next_scheduled_start_time: due }) =>
      auto_scheduled === 1 && run_count === 0 && due !== null && due < latest,
  );
  if (overdue.length === 0) return [...runs];
  const ids = overdue.map(({ id }) => id);
  const missed = await tools.db.rows<MissedRun>(selectMissedAmong(tools.workspaceId, ids, now));
  const gone = new Set(missed.map(({ id }) => id));
  for (const run of missed) {
    try {
      await skipRun(tools, run);
    } catch (error) {
      // The sweep finds the run again, and the poll continues with the other runs.
      log(tools, "error", "a missed run could not be skipped", { flow_run_id: run.id, error });
    }
  }
  return runs.filter(({ id }) => !gone.has(id));
}

function selectMissedAmong(workspaceId: string, ids: readonly string[], now: Micros): SQL {
  return sql`select ${MISSED_RUN} from ${each(ids)} asked
    cross join ${flow_run} r on r.workspace_id = ${workspaceId} and r.id = asked.value ${JOIN_SCHEDULE}
    where ${isMissed(now)}`;
}

/** The run may have started since it was read. */
const unlessStarted = onlyWhile(
  ({ initial, run }: FlowRunContext) => initial?.type === "SCHEDULED" && run.run_count === 0,
  CoreFlowPolicy,
);

/** Makes a missed run Skipped, unless the run has started. May be repeated. */
export async function skipRun(tools: Tools, { id, due, policy, window_seconds: window }: MissedRun): Promise<void> {
  const reason = policy === "latest" ? "and a later run of its schedule is due" : "and its schedule skips missed runs";
  const message = `It was due at ${printTime(due)}, was not begun within ${window} seconds, ${reason}.`;
  await setStateUnlessDeleted(tools, id, { type: "CANCELLED", name: "Skipped", message }, { policy: unlessStarted });
}

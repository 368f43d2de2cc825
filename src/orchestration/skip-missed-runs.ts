/** Runs of schedules that nobody began in time, and that their schedule does not want any more, are cancelled as Skipped. */
import { type SQL, sql } from "drizzle-orm";
import { jsonValue } from "#db/json-column";
import { deployment_schedule } from "#db/tables/deployment";
import { flow_run } from "#db/tables/flow-run";
import { ApiError } from "#lib/api-error";
import type { Micros } from "#lib/clock";
import { onlyWhile } from "#orchestration/only-while";
import { CoreFlowPolicy } from "#orchestration/policies";
import { setFlowRunState } from "#orchestration/set-flow-run-state";
import type { FlowRunContext } from "#orchestration/transition";
import type { Tools } from "#tools";
import { printTime } from "#wire/dates";
import { LEAST_WINDOW_SECONDS, type MissedRuns } from "#wire/missed-runs";
import { each } from "#db/sql";
import { log } from "#lib/log";

const SECOND: Micros = 1_000_000;

/** A missed run that is to be skipped. */
export interface MissedRun {
  id: string;
  due: Micros;
  policy: Exclude<MissedRuns["policy"], "all">;
  window_seconds: number;
}

/** The columns of a `MissedRun`, of the run `r` and its schedule `s`. */
export const MISSED_RUN = sql`r.id, r.next_scheduled_start_time as due,
  ${jsonValue("s.missed_runs", "$.policy")} as policy, ${jsonValue("s.missed_runs", "$.window_seconds")} as window_seconds`;

/** Joins the schedule `s` that made the run `r`, where it has a policy of its own. */
export const JOIN_SCHEDULE = sql`join ${deployment_schedule} s on s.workspace_id = r.workspace_id
  and s.deployment_id = r.deployment_id and s.id = ${jsonValue("r.created_by", "$.id")} and s.missed_runs is not null`;

/**
 * Whether the run `r` of the schedule `s` is to be skipped: overdue by more than the window, not begun, and under `latest`
 * with a newer one that is due as well, whatever became of that.
 */
export function isMissed(now: Micros): SQL {
  return sql`r.auto_scheduled = 1 and r.state_type = 'SCHEDULED' and r.state_name <> 'AwaitingConcurrencySlot' and r.run_count = 0
    and r.next_scheduled_start_time + ${jsonValue("s.missed_runs", "$.window_seconds")} * ${SECOND} < ${now}
    and (${jsonValue("s.missed_runs", "$.policy")} = 'skip' or exists (
      select 1 from ${flow_run} n where n.workspace_id = r.workspace_id and n.deployment_id = r.deployment_id
        and coalesce(n."start_time", n."expected_start_time") > r.expected_start_time
        and coalesce(n."start_time", n."expected_start_time") <= ${now}
        and n.expected_start_time > r.expected_start_time and ${jsonValue("n.created_by", "$.id")} = s.id))`;
}

/** What a poll knows of a run that it is about to hand out. */
interface Offered {
  id: string;
  auto_scheduled: number;
  run_count: number;
  next_scheduled_start_time: Micros | null;
}

/**
 * The runs without those that are to be skipped, which are skipped. So what became due while no clock was running is not
 * handed out before the sweep has seen it. Costs nothing unless one is long overdue.
 */
export async function withoutMissed<Run extends Offered>(tools: Tools, runs: readonly Run[]): Promise<Run[]> {
  const now = tools.clock();
  const latest = now - LEAST_WINDOW_SECONDS * SECOND;
  const overdue = runs.filter(
    ({ auto_scheduled, run_count, next_scheduled_start_time: due }) =>
      auto_scheduled === 1 && run_count === 0 && due !== null && due < latest,
  );
  if (overdue.length === 0) return [...runs];
  const missed = await tools.db.rows<MissedRun>(
    selectMissedAmong(
      tools.workspaceId,
      overdue.map(({ id }) => id),
      now,
    ),
  );
  const gone = new Set(missed.map(({ id }) => id));
  for (const run of missed) await skipOrLog(tools, run);
  return runs.filter(({ id }) => !gone.has(id));
}

/** A run that cannot be skipped now is the sweep's business; it keeps nobody from the other runs. */
async function skipOrLog(tools: Tools, run: MissedRun): Promise<void> {
  try {
    await skipRun(tools, run);
  } catch (error) {
    log(tools, "error", "a missed run could not be skipped", { flow_run_id: run.id, error });
  }
}

function selectMissedAmong(workspaceId: string, ids: readonly string[], now: Micros): SQL {
  return sql`select ${MISSED_RUN} from ${each(ids)} asked
    cross join ${flow_run} r on r.workspace_id = ${workspaceId} and r.id = asked.value ${JOIN_SCHEDULE}
    where ${isMissed(now)}`;
}

/** Somebody may have begun it since. */
const whileWaiting = onlyWhile(
  ({ initial, run }: FlowRunContext) => initial?.type === "SCHEDULED" && run.run_count === 0,
  CoreFlowPolicy,
);

/** Cancels a missed run, unless somebody began it. Done twice, it is done once. */
export async function skipRun(tools: Tools, { id, due, policy, window_seconds: window }: MissedRun): Promise<void> {
  const reason = policy === "latest" ? "and a later run of its schedule is due" : "and its schedule skips missed runs";
  const message = `It was due at ${printTime(due)}, was not begun within ${window} seconds, ${reason}.`;
  try {
    await setFlowRunState(tools, id, { type: "CANCELLED", name: "Skipped", message }, { policy: whileWaiting });
  } catch (error) {
    // The run was deleted in the meantime.
    if (!(error instanceof ApiError && error.status === 404)) throw error;
  }
}

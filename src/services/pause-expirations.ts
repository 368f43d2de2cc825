/** Paused runs that nobody resumed in time fail. */
import { sql } from "drizzle-orm";
import { jsonValue } from "#db/json-column";
import { flow_run, flow_run_state } from "#db/tables/flow-run";
import type { Micros } from "#lib/clock";
import { onlyWhile } from "#orchestration/only-while";
import { MinimalFlowPolicy } from "#orchestration/policies";
import { setFlowRunState } from "#orchestration/set-flow-run-state";
import type { FlowRunContext } from "#orchestration/transition";
import { andNoneOf, forEachRun, inRounds } from "#services/by-workspace";
import type { Tools } from "#tools";

/** How many runs are ended at a time, and how often in one turn; what is left comes with the next. */
const AT_ONCE = 200;
const ROUNDS = 5;

/** A pause that was resumed just now is left alone. */
const whileExpired = onlyWhile(isExpired, MinimalFlowPolicy);

/** Fails the runs whose pause has lasted too long. Two at once do no harm: the second finds no pause. */
export async function failExpiredPauses(tools: Tools): Promise<void> {
  const now = tools.clock();
  await inRounds<ExpiredRun>(
    { atOnce: AT_ONCE, rounds: ROUNDS },
    (before) => tools.db.rows(selectExpired(now, before)),
    (expired) => forEachRun(tools, expired, failRun),
  );
}

interface ExpiredRun {
  workspace_id: string;
  id: string;
}

const failRun = (tools: Tools, { id }: ExpiredRun) =>
  setFlowRunState(
    tools,
    id,
    { type: "FAILED", message: "The flow was paused and never resumed." },
    { policy: whileExpired },
  );

/** The paused runs are an index of their own; their timeouts are in their states. */
export function selectExpired(now: Micros, before: readonly ExpiredRun[] = []) {
  return sql`select r.workspace_id, r.id from ${flow_run} r indexed by flow_run_halted
    cross join ${flow_run_state} s on s.id = r.state_id
    where r.state_type in ('PAUSED', 'CANCELLING') and r.state_type = 'PAUSED'
      and ${jsonValue("s.state_details", "$.pause_timeout")} < ${now}
      ${andNoneOf("r.id", before)}
    order by r.state_timestamp limit ${AT_ONCE}`;
}

function isExpired({ initial, now }: FlowRunContext): boolean {
  const timeout = initial?.type === "PAUSED" && initial.state_details.pause_timeout;
  return typeof timeout === "number" && timeout < now;
}

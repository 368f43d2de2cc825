/** Paused runs that nobody resumed in time fail. */
import { sql } from "drizzle-orm";
import { flow_run, flow_run_state } from "#db/tables/flow-run";
import type { Micros } from "#lib/clock";
import { onlyWhile } from "#orchestration/only-while";
import { MinimalFlowPolicy } from "#orchestration/policies";
import { setFlowRunState } from "#orchestration/set-flow-run-state";
import type { FlowRunContext } from "#orchestration/transition";
import { forEachRun } from "#services/by-workspace";
import type { Tools } from "#tools";

/** How many runs one turn ends; what is left comes with the next. */
const MOST = 200;

/** A pause that was resumed just now is left alone. */
const whileExpired = onlyWhile(isExpired, MinimalFlowPolicy);

/** Fails the runs whose pause has lasted too long. Two at once do no harm: the second finds no pause. */
export async function failExpiredPauses(tools: Tools): Promise<void> {
  const expired = await tools.db.rows<{ workspace_id: string; id: string }>(selectExpired(tools.clock()));
  await forEachRun(tools, expired, (own, { id }) =>
    setFlowRunState(
      own,
      id,
      { type: "FAILED", message: "The flow was paused and never resumed." },
      { policy: whileExpired },
    ),
  );
}

/** The paused runs are an index of their own; their timeouts are in their states. */
export function selectExpired(now: Micros) {
  return sql`select r.workspace_id, r.id from ${flow_run} r indexed by flow_run_halted
    cross join ${flow_run_state} s on s.id = r.state_id
    where r.state_type in ('PAUSED', 'CANCELLING') and r.state_type = 'PAUSED'
      and s.state_details ->> '$.pause_timeout' < ${now}
    order by r.state_timestamp limit ${MOST}`;
}

function isExpired({ initial, now }: FlowRunContext): boolean {
  const timeout = initial?.type === "PAUSED" && initial.state_details.pause_timeout;
  return typeof timeout === "number" && timeout < now;
}

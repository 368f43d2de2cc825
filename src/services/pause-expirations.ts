/** Paused runs that nobody resumed in time fail. */
import { MinimalFlowPolicy, onlyWhile } from "#orchestration/policies";
import { setFlowRunState } from "#orchestration/set-flow-run-state";
import type { FlowRunContext } from "#orchestration/transition";
import { seeToDue } from "#services/due";
import { forEachRun } from "#services/kit";
import { selectExpired } from "#services/sweep-store";
import type { SweepTools } from "#tools";

const NEVER_RESUMED = { type: "FAILED", message: "The flow was paused and never resumed." } as const;

/** A run that was resumed just now is left alone. */
const whileExpired = onlyWhile(isExpired, MinimalFlowPolicy);

/** Fails the runs whose pause has lasted too long. Two turns at once do no harm: the second finds no pause. */
export async function failExpiredPauses(tools: SweepTools): Promise<void> {
  const now = tools.clock();
  await seeToDue(tools, {
    name: "expired pauses",
    select: (page) => selectExpired(now, page),
    work: (expired) =>
      forEachRun(tools, expired, (own, { id }) => setFlowRunState(own, id, NEVER_RESUMED, { policy: whileExpired })),
  });
}

function isExpired({ initial, now }: FlowRunContext): boolean {
  const timeout = initial?.type === "PAUSED" && initial.state_details.pause_timeout;
  return typeof timeout === "number" && timeout < now;
}

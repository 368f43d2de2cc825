/** Completes cancellations: cancels children that have not ended, and runs that stay Cancelling for too long. */
import { sql } from "drizzle-orm";
import type { Micros } from "#lib/clock";
import { enqueueCleanup } from "#objects/work-pool/client";
import { cancelChildren } from "#orchestration/set-flow-run-state";
import { type DueRow, forEachRun, proposeState, type RowKey, seeToDue } from "#services/due";
import { selectCancelledWith, selectStuckCancelling, selectWithChildren } from "#services/sweep-store";
import { type Range, walkStates } from "#services/walk-states";
import type { SweepTools, Tools } from "#tools";

const MINUTE: Micros = 60_000_000;
const TIMED_OUT = "The cancellation of the flow run timed out.";

/**
 * A run's children are cancelled with the run. If the process died before, the first walk cancels the children. The
 * second walk finds task runs and subflows that were reported or started only after the run's end.
 */
const WALKS = [
  { name: "cancelled runs", age: MINUTE },
  { name: "cancelled runs, an hour later", age: 60 * MINUTE },
];

/** Cancels the remaining children of runs that were cancelled some time ago. */
export async function cancelLeftChildren(tools: SweepTools): Promise<void> {
  for (const walk of WALKS) {
    await walkStates(tools, walk, async (range) => {
      const cancelled = await tools.db.rows<RowKey>(selectWithChildren(range));
      await forEachRun(tools, cancelled, (own, { id }) => cancelChildren(own, id));
      await tellWorkers(tools, range);
    });
  }
}

interface StuckRun extends DueRow {
  state_id: string;
}

/** Cancels the runs that have been Cancelling for too long, and makes the workers of their pools clean up. */
export async function cancelStuckRuns(tools: SweepTools): Promise<void> {
  const { cancelling_timeout_seconds: seconds } = tools.settings.services.cancellation_cleanup;
  const since = tools.clock() - seconds * 1_000_000;
  await seeToDue<StuckRun>(tools, {
    name: "stuck cancellations",
    select: (page) => selectStuckCancelling(since, page),
    work: (stuck) => forEachRun(tools, stuck, endStuckRun),
  });
}

async function endStuckRun(tools: Tools, run: StuckRun): Promise<void> {
  const { state, written } = await proposeState(tools, run, { type: "CANCELLED", message: TIMED_OUT });
  if (written && state) await tellWorkers(tools, (stateId) => sql`${stateId} = ${state.id}`);
}

interface TimedOut extends RowKey {
  state_id: string;
  infrastructure_pid: string | null;
  work_queue_id: string;
  pool_id: string;
  pool_name: string;
  pool_type: string;
}

/**
 * Sends the runs that these states ended by the timeout to the workers of their pools. A worker gets a message once,
 * even if it is sent several times.
 */
async function tellWorkers(tools: SweepTools, states: Range): Promise<void> {
  const ended = await tools.db.rows<TimedOut>(selectCancelledWith(TIMED_OUT, states));
  await forEachRun(tools, ended, (own, run) =>
    enqueueCleanup(
      own,
      { id: run.pool_id, name: run.pool_name, type: run.pool_type },
      { ...run, cancelled_state_id: run.state_id },
    ),
  );
}

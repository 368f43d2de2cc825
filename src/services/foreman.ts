/** Marks served deployments that no process polls any more as NOT_READY, and makes the objects of READY work pools check themselves. */
import { isPassing } from "#db/database";
import { writeEvents } from "#events/emit";
import type { Micros } from "#lib/clock";
import { inHalves } from "#lib/halving";
import { log } from "#lib/log";
import { readLiveness } from "#objects/work-pool/client";
import { deploymentEvent } from "#resources/deployments/events";
import { DeploymentStore } from "#resources/deployments/store";
import { byWorkspace, type DueRow, seeToDue } from "#services/due";
import { selectReadyPools, selectUnpolled } from "#services/sweep-store";
import { isFirstOfHour } from "#services/turns";
import type { SweepTools, Tools } from "#tools";

/** Prefect: `deployment_last_polled_timeout_seconds`, plus the largest age of the stored time of the last poll (`poll.ts`). */
const SILENCE: Micros = 60_000_000 + 30_000_000;

/** Marks deployments as NOT_READY if their last poll is too old, and writes the events. */
export async function markSilentDeployments(tools: SweepTools): Promise<void> {
  const since = tools.clock() - SILENCE;
  await seeToDue(tools, {
    name: "silent deployments",
    select: (page) => selectUnpolled(since, page),
    work: (unpolled) => byWorkspace(tools, unpolled, markEach),
  });
}

function markEach(tools: Tools, rows: readonly DueRow[]): Promise<void> {
  return inHalves(
    rows.map(({ id }) => id),
    (ids) => mark(tools, ids),
    async (id, error) => log(tools, "error", "a deployment could not be marked", { deployment_id: id, error }),
    { isPassing },
  );
}

async function mark(tools: Tools, ids: readonly string[]): Promise<void> {
  const store = new DeploymentStore(tools);
  const { rows: marked } = await tools.db.run(store.markStatus(ids, "NOT_READY"));
  const rows = await store.readList(marked.map(({ id }) => String(id)));
  await writeEvents(
    tools,
    rows.map((row) => deploymentEvent(tools, "NOT_READY", row)),
  );
}

/**
 * Asks the objects of the READY pools for their status, in the first turn of each hour. Normally, the object of a pool marks the pool,
 * its workers, queues and deployments by its own alarms. An object without memory reads D1 when it is asked, and sets its alarms.
 */
export async function wakePools(tools: SweepTools): Promise<void> {
  if (!isFirstOfHour(tools.clock())) return;
  await seeToDue<DueRow & { name: string }>(tools, {
    name: "ready pools",
    most: 100,
    select: selectReadyPools,
    work: (ready) => byWorkspace(tools, ready, readLiveness),
  });
}

/** The guarantee that no work pool stays READY because its object has forgotten it. */
import { readLiveness } from "#objects/work-pool/client";
import { type Due, seeToDue } from "#services/due";
import { byWorkspace } from "#services/kit";
import { selectReadyPools } from "#services/sweep-store";
import { isFirstOfHour } from "#services/turns";
import type { SweepTools } from "#tools";

/**
 * Asks after the pools that are READY, in the first turn of each hour. The object of a pool marks the pool, its workers, queues
 * and deployments by alarms of its own. An object that has lost what it knew reads D1 when it is asked, and sets its alarms.
 */
export async function wakePools(tools: SweepTools): Promise<void> {
  if (!isFirstOfHour(tools.clock())) return;
  await seeToDue<Due & { id: string; name: string }>(tools, {
    name: "ready pools",
    most: 100,
    steps: 10,
    select: selectReadyPools,
    work: (ready) => byWorkspace(tools, ready, readLiveness),
  });
}

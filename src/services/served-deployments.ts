/** Served deployments that nobody asks for any more are NOT_READY. The objects of work pools mark the deployments of pools. */
import { isPassing } from "#db/database";
import { writeEvents } from "#events/emit";
import type { Micros } from "#lib/clock";
import { inHalves } from "#lib/halving";
import { log } from "#lib/log";
import { deploymentEvent } from "#resources/deployments/events";
import { DeploymentStore } from "#resources/deployments/store";
import { type Due, seeToDue } from "#services/due";
import { byWorkspace } from "#services/kit";
import { selectUnpolled } from "#services/sweep-store";
import type { SweepTools, Tools } from "#tools";

/** Prefect: `deployment_last_polled_timeout_seconds`, and the age that the note of the last poll may have (`poll.ts`). */
const SILENCE: Micros = 60_000_000 + 30_000_000;

interface Unpolled extends Due {
  id: string;
}

/** Marks the deployments whose last poll lies too far back, and says so in their events. */
export async function markSilentDeployments(tools: SweepTools): Promise<void> {
  const since = tools.clock() - SILENCE;
  await seeToDue<Unpolled>(tools, {
    name: "silent deployments",
    most: 200,
    steps: 10,
    select: (page) => selectUnpolled(since, page),
    work: (unpolled) => byWorkspace(tools, unpolled, markEach),
  });
}

function markEach(tools: Tools, rows: readonly Unpolled[]): Promise<void> {
  return inHalves(
    rows.map(({ id }) => id),
    (ids) => mark(tools, ids),
    async (id, error) => log(tools, "error", "a deployment could not be marked", { deployment_id: id, error }),
    { isPassing },
  );
}

async function mark(tools: Tools, ids: readonly string[]): Promise<void> {
  const store = new DeploymentStore(tools.db, tools.workspaceId);
  const { rows: marked } = await tools.db.run(store.markStatus(ids, "NOT_READY"));
  const rows = await store.readList(marked.map(({ id }) => String(id)));
  await writeEvents(
    tools,
    rows.map((row) => deploymentEvent(tools, "NOT_READY", row)),
  );
}

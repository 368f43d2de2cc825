/** Served deployments that nobody asks for any more are NOT_READY. Those of pools are the pools' objects' business. */
import { sql } from "drizzle-orm";
import { deployment } from "#db/tables/deployment";
import { writeEvents } from "#events/emit";
import { isPassing } from "#db/database";
import { inHalves } from "#lib/halving";
import { byWorkspace } from "#services/by-workspace";
import type { Micros } from "#lib/clock";
import { deploymentEvent } from "#resources/deployments/events";
import { DeploymentStore } from "#resources/deployments/store";
import type { Tools } from "#tools";

/** Prefect: `deployment_last_polled_timeout_seconds`, and the age that the note of the last poll may have (`poll.ts`). */
const SILENCE = 60_000_000 + 30_000_000;
const AT_ONCE = 200;

/** Marks the deployments whose last poll lies too far back, and says so in their events. */
export async function markSilentDeployments(tools: Tools): Promise<void> {
  const silent = await tools.db.rows<{ workspace_id: string; id: string }>(selectSilent(tools.clock()));
  await byWorkspace(tools, silent, (own, rows) =>
    inHalves(
      rows,
      (some) =>
        mark(
          own,
          some.map(({ id }) => id),
        ),
      async ({ id }, error) => console.error(`the deployment ${id} could not be marked`, error),
      { isPassing },
    ),
  );
}

/** An index seek among the served deployments that are READY. */
export function selectSilent(now: Micros) {
  return sql`select workspace_id, id from ${deployment}
    where ${sql.raw("status = 'READY' and work_queue_id is null")} and ${deployment.last_polled} <= ${now - SILENCE}
    order by ${deployment.last_polled} limit ${AT_ONCE}`;
}

async function mark(tools: Tools, ids: readonly string[]): Promise<void> {
  const store = new DeploymentStore(tools.db, tools.workspaceId);
  const { rows: marked } = await tools.db.run(store.markStatus(ids, "NOT_READY"));
  const rows = await store.readMany(marked.map(({ id }) => String(id)));
  await writeEvents(
    tools,
    rows.map((row) => deploymentEvent(tools, "NOT_READY", row)),
  );
}

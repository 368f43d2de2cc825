/** Served deployments that nobody asks for any more are NOT_READY. Those of pools are the pools' objects' business. */
import { sql } from "drizzle-orm";
import { deployment } from "#db/tables/deployment";
import { writeEvents } from "#events/emit";
import { isPassing } from "#db/database";
import { inHalves } from "#lib/halving";
import { andNoneOf, byWorkspace, inRounds } from "#services/by-workspace";
import type { Micros } from "#lib/clock";
import { log } from "#lib/log";
import { deploymentEvent } from "#resources/deployments/events";
import { DeploymentStore } from "#resources/deployments/store";
import type { Tools } from "#tools";

/** Prefect: `deployment_last_polled_timeout_seconds`, and the age that the note of the last poll may have (`poll.ts`). */
const SILENCE = 60_000_000 + 30_000_000;
const AT_ONCE = 200;
const ROUNDS = 5;

/** Marks the deployments whose last poll lies too far back, and says so in their events. */
export async function markSilentDeployments(tools: Tools): Promise<void> {
  const now = tools.clock();
  await inRounds<Silent>(
    { atOnce: AT_ONCE, rounds: ROUNDS },
    (before) => tools.db.rows(selectSilent(now, before)),
    (silent) => byWorkspace(tools, silent, markEach),
  );
}

interface Silent {
  workspace_id: string;
  id: string;
}

function markEach(tools: Tools, rows: readonly Silent[]): Promise<void> {
  return inHalves(
    rows.map(({ id }) => id),
    (ids) => mark(tools, ids),
    async (id, error) => log(tools, "error", "a deployment could not be marked", { deployment_id: id, error }),
    { isPassing },
  );
}

/** An index seek among the served deployments that are READY. */
export function selectSilent(now: Micros, before: readonly Silent[] = []) {
  return sql`select workspace_id, id from ${deployment}
    where ${sql.raw("status = 'READY' and work_queue_id is null")} and ${deployment.last_polled} <= ${now - SILENCE}
      ${andNoneOf("id", before)}
    order by ${deployment.last_polled} limit ${AT_ONCE}`;
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

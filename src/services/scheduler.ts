/** Creates the runs of schedules. Each turn reads only the schedules that are due. */
import { sql } from "drizzle-orm";
import { isPassing } from "#db/database";
import { each } from "#db/sql";
import { deployment_schedule } from "#db/tables/deployment";
import type { Micros } from "#lib/clock";
import { inHalves } from "#lib/halving";
import { log } from "#lib/log";
import { materialise } from "#resources/deployments/materialise";
import { type DeploymentRow, DeploymentStore } from "#resources/deployments/store";
import { byWorkspace, type DueRow, seeToDue } from "#services/due";
import { selectDueSchedules } from "#services/sweep-store";
import type { SweepTools, Tools } from "#tools";

/** How long after a failure the runs of a schedule are tried again: two turns. */
const RETRY_AFTER: Micros = 120_000_000;

interface DueSchedule extends DueRow {
  deployment_id: string;
}

/** Creates the runs of the schedules that are due. Two concurrent turns, or a turn that ends in the middle, do no harm. */
export async function topUpSchedules(tools: SweepTools): Promise<void> {
  const now = tools.clock();
  await seeToDue<DueSchedule>(tools, {
    name: "due schedules",
    most: 50,
    steps: 20,
    select: (page) => selectDueSchedules(now, page),
    work: (due) => byWorkspace(tools, due, (own, ofWorkspace) => topUpWorkspace(own, ofWorkspace, now)),
  });
}

async function topUpWorkspace(tools: Tools, due: readonly DueSchedule[], now: Micros): Promise<void> {
  const store = new DeploymentStore(tools);
  const ofDeployment = Map.groupBy(due, ({ deployment_id }) => deployment_id);
  // Written before the work, so that a schedule that fails, or that ends the process, does not block other schedules after a restart.
  await tools.db.run(putOff(tools.workspaceId, due, now));
  await inHalves(
    [...ofDeployment.keys()],
    async (ids) => {
      for (const portion of store.inFull(await store.readList(ids)))
        for (const row of await portion()) await topUpDeployment(tools, row, ofDeployment.get(row.id) ?? []);
    },
    async (id, error) =>
      log(tools, "error", "a deployment could not be read for its schedules", { deployment_id: id, error }),
    { isPassing },
  );
}

async function topUpDeployment(tools: Tools, row: DeploymentRow, due: readonly DueSchedule[]): Promise<void> {
  try {
    await materialise(tools, [row], new Set(due.map(({ id }) => id)));
  } catch (error) {
    log(tools, "error", "schedules of a deployment could not be made into runs", { deployment_id: row.id, error });
  }
}

/** Puts off schedules that are still due. Uses the key of each row: with a join on the list, SQLite would read all schedules of the workspace. */
function putOff(workspaceId: string, due: readonly DueSchedule[], now: Micros) {
  return sql`update ${deployment_schedule} set top_up_at = ${now + RETRY_AFTER}
    where workspace_id = ${workspaceId} and +top_up_at <= ${now} and (deployment_id, id) in (
      select value ->> '$.deployment_id', value ->> '$.id' from ${each(due)})`;
}

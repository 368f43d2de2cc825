/** Tops up what schedules have been made into: each turn just those that are due for it, however many deployments there are. */
import { sql } from "drizzle-orm";
import { isPassing } from "#db/database";
import { deployment_schedule } from "#db/tables/deployment";
import type { Micros } from "#lib/clock";
import { inHalves } from "#lib/halving";
import { materialise } from "#resources/deployments/materialise";
import { type DeploymentRow, DeploymentStore } from "#resources/deployments/store";
import { byWorkspace } from "#services/by-workspace";
import type { Tools } from "#tools";
import { each } from "#db/sql";
import { log } from "#lib/log";

/** How many schedules are taken at a time, and how often in one turn; what is left comes with the next turn. */
const SCHEDULES_AT_ONCE = 50;
const ROUNDS = 10;
/** A schedule whose runs could not be made is tried again after this while: two turns. */
const RETRY_AFTER = 120_000_000;

interface Due {
  workspace_id: string;
  deployment_id: string;
  id: string;
}

/** Makes the runs of the schedules whose turn it is. Two at once, or one that dies half-way, do no harm. */
export async function topUpSchedules(tools: Tools): Promise<void> {
  const now = tools.clock();
  for (let round = 0; round < ROUNDS; round++) {
    const due = await tools.db.rows<Due>(selectDueSchedules(now));
    await byWorkspace(tools, due, (own, ofWorkspace) => topUpWorkspace(own, ofWorkspace, now));
    if (due.length < SCHEDULES_AT_ONCE) return;
  }
}

/** An index seek: the schedules that are due, the longest overdue first. */
export function selectDueSchedules(now: Micros) {
  return sql`select workspace_id, deployment_id, id from ${deployment_schedule}
    where ${deployment_schedule.top_up_at} <= ${now} order by ${deployment_schedule.top_up_at} limit ${SCHEDULES_AT_ONCE}`;
}

async function topUpWorkspace(tools: Tools, due: readonly Due[], now: Micros): Promise<void> {
  const store = new DeploymentStore(tools.db, tools.workspaceId);
  const ofDeployment = Map.groupBy(due, ({ deployment_id }) => deployment_id);
  // First, so that what fails or does not end is not in the way of the others, not even after a restart.
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

async function topUpDeployment(tools: Tools, row: DeploymentRow, due: readonly Due[]): Promise<void> {
  try {
    await materialise(tools, [row], new Set(due.map(({ id }) => id)));
  } catch (error) {
    log(tools, "error", "schedules of a deployment could not be made into runs", { deployment_id: row.id, error });
  }
}

/** By the key of each row: joined with the list, SQLite goes through all schedules of the workspace. What was changed meanwhile is left alone. */
function putOff(workspaceId: string, due: readonly Due[], now: Micros) {
  return sql`update ${deployment_schedule} set top_up_at = ${now + RETRY_AFTER}
    where workspace_id = ${workspaceId} and +top_up_at <= ${now} and (deployment_id, id) in (
      select value ->> '$.deployment_id', value ->> '$.id' from ${each(due)})`;
}

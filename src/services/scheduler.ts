/** Tops up what schedules have been made into: each turn just those that are due for it, however many deployments there are. */
import { sql } from "drizzle-orm";
import { deployment_schedule } from "#db/tables/deployment";
import type { Micros } from "#lib/clock";
import { materialise } from "#resources/deployments/materialise";
import { DeploymentStore } from "#resources/deployments/store";
import type { Tools } from "#tools";

/** How many schedules are taken at a time, and how often in one turn; what is left comes with the next turn. */
const SCHEDULES_AT_ONCE = 50;
const ROUNDS = 10;
/** A schedule that cannot be made into runs now is tried again after this while. */
const RETRY_AFTER = 300_000_000;

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
    for (const [workspaceId, ofWorkspace] of Map.groupBy(due, ({ workspace_id }) => workspace_id)) {
      await topUpWorkspace({ ...tools, workspaceId }, ofWorkspace, now);
    }
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
  const rows = await store.readMany([...new Set(due.map(({ deployment_id }) => deployment_id))]);
  for (const row of rows) {
    const ids = due.filter(({ deployment_id }) => deployment_id === row.id).map(({ id }) => id);
    try {
      await materialise(tools, [row], new Set(ids));
    } catch (error) {
      console.error(`schedules of deployment ${row.id} could not be made into runs`, error);
    }
  }
  // Whatever is due since the turn began failed, is of a paused deployment or of none: it must not stand in the others' way.
  await tools.db.run(putOff(tools.workspaceId, due, now));
}

/** By the key of each row: joined with the list, SQLite goes through all schedules of the workspace. */
function putOff(workspaceId: string, due: readonly Due[], now: Micros) {
  return sql`update ${deployment_schedule} set top_up_at = ${now + RETRY_AFTER}
    where workspace_id = ${workspaceId} and +top_up_at <= ${now} and (deployment_id, id) in (
      select value ->> '$.deployment_id', value ->> '$.id' from json_each(${JSON.stringify(due)}))`;
}
